import { expect, test } from "vitest";

import { Recipient, sealWith } from "./sealing";

const bytes = (from: number) => Uint8Array.from({ length: 32 }, (_, at) => from + at);
const TO = Uint8Array.from(atob("NYBy1jZYgNGu6jKa35EhODhR7SGijjt16WXQ0s0WYlQ="), (letter) => letter.charCodeAt(0));

test("a box is the one that libsodium makes of the same keys", () => {
  // Made, and opened again with the private key 32…63, by libsodium 1.0.
  const made = "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF++NNg3XGJWZ4TyoapT6Ip/sqscqx8HZP0xH0rJ4Q==";
  expect(sealWith(bytes(0), "correct horse", TO)).toBe(made);
});

test("two boxes of one text have nothing in common", () => {
  expect(sealWith(bytes(1), "correct horse", TO).slice(0, 43)).not.toBe(sealWith(bytes(0), "correct horse", TO).slice(0, 43));
});

test("a box that libsodium made is opened by whom it is for, and by nobody else", () => {
  const box = "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF++NNg3XGJWZ4TyoapT6Ip/sqscqx8HZP0xH0rJ4Q==";
  const recipient = new Recipient(bytes(32));
  expect(recipient.publicKey).toBe("NYBy1jZYgNGu6jKa35EhODhR7SGijjt16WXQ0s0WYlQ=");
  expect(recipient.open(box)).toBe("correct horse");
  expect(() => new Recipient().open(box)).toThrow();
});
