/**
 * libsodium's sealed box, in script: a password is sealed to the controller's key before it leaves this page,
 * and a new secret is opened that was sealed to a key of this page.
 *
 * An X25519 key for this one box, whose nonce is BLAKE2b of both public keys; HSalsa20 of the shared secret is the key of
 * XSalsa20-Poly1305. libsodium itself would need WebAssembly, which the content security policy does not let run.
 */
import { hsalsa, xsalsa20poly1305 } from "@noble/ciphers/salsa";
import { x25519 } from "@noble/curves/ed25519";
import { blake2b } from "@noble/hashes/blake2b";

import type { Schemas } from "./api/client";

const SIGMA = words(new TextEncoder().encode("expand 32-byte k"));

/** Seal a text to the key that `GET /v1/session/key` gave; base64. */
export function seal(text: string, key: Schemas["SealingKey"]): string {
  return sealWith(crypto.getRandomValues(new Uint8Array(32)), text, unbase64(key.public_key));
}

/** As `seal`, with the private key of this one box given: for tests. */
export function sealWith(ephemeral: Uint8Array, text: string, to: Uint8Array): string {
  const own = x25519.getPublicKey(ephemeral);
  const box = cipher(x25519.getSharedSecret(ephemeral, to), own, to).encrypt(new TextEncoder().encode(text));
  return base64(new Uint8Array([...own, ...box]));
}

/** A key made for one answer: what is sealed to it, this page can read, and nobody between. */
export class Recipient {
  readonly publicKey: string;
  readonly #key: Uint8Array;
  readonly #own: Uint8Array;

  /** The private key is given in tests only. */
  constructor(key = crypto.getRandomValues(new Uint8Array(32))) {
    this.#key = key;
    this.#own = x25519.getPublicKey(key);
    this.publicKey = base64(this.#own);
  }

  /** Throws if it was sealed to another key, or changed on its way. */
  open(sealed: string): string {
    const bytes = unbase64(sealed);
    const from = bytes.slice(0, 32);
    return new TextDecoder().decode(cipher(x25519.getSharedSecret(this.#key, from), from, this.#own).decrypt(bytes.slice(32)));
  }
}

function cipher(shared: Uint8Array, from: Uint8Array, to: Uint8Array) {
  const key = new Uint32Array(8);
  hsalsa(SIGMA, words(shared), new Uint32Array(4), key);
  return xsalsa20poly1305(new Uint8Array(key.buffer), blake2b.create({ dkLen: 24 }).update(from).update(to).digest());
}

function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.slice().buffer);
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function unbase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
