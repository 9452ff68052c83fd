import { Button } from "@patternfly/react-core";

import { api } from "../api/client";
import { useMay } from "../may";
import { useVerifications } from "../promises";
import { useFollow } from "./follow";

/** Runs a verification; while one goes on there is no second. */
export function VerifyButton() {
  const follow = useFollow();
  const may = useMay();
  const { last } = useVerifications();
  const verify = api.useMutation("post", "/v1/verifications", { onSuccess: (begun) => follow(begun.id) });
  if (!may.cloud("cloud:verify")) return null;
  const running = last !== undefined && last.ended_at === null;
  return (
    <Button
      variant="secondary"
      isLoading={running || verify.isPending}
      isDisabled={running || verify.isPending}
      onClick={() => verify.mutate({})}
    >
      {running ? "Verifying" : "Verify now"}
    </Button>
  );
}
