/** Images: what disks begin as. */
import { Content } from "@patternfly/react-core";
import { ImageIcon } from "@patternfly/react-icons/dist/esm/icons/image-icon";
import { useState } from "react";

import { api, ifMatch, type Image } from "../api/client";
import { bytes } from "../format";
import { useMay } from "../may";
import { FormDialog } from "../parts/dialogs";
import { isName, NameField, TextField } from "../parts/fields";
import { useFollow } from "../parts/follow";
import { NounPage } from "../parts/noun";
import { StateLabel } from "../parts/states";

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function ImagesPage() {
  const may = useMay();
  const images = api.useQuery("get", "/v1/images", { params: { query: { limit: 1000 } } });
  const remove = api.useMutation("delete", "/v1/images/{ref}");
  return (
    <NounPage<Image>
      title="Images"
      one="image"
      about="An image is a read-only disk that VMs start from. Its digest says which one; its format is seen, not believed."
      icon={ImageIcon}
      create="Import image"
      mayCreate={may.cloud("image:manage")}
      mayChange={() => may.cloud("image:manage")}
      empty={
        <>
          Import one from a URL, or upload a file with <code>ringfence image import FILE --name NAME</code>.
        </>
      }
      of={images}
      changeable={false}
      columns={[
        { title: "Name", cell: (image) => image.name },
        { title: "State", cell: (image) => <StateLabel state={image.state} /> },
        { title: "Format", cell: (image) => image.format ?? "–" },
        { title: "File", cell: (image) => (image.file_bytes === null ? "–" : bytes(image.file_bytes)) },
        { title: "Disk", cell: (image) => (image.virtual_bytes === null ? "–" : bytes(image.virtual_bytes)) },
        { title: "From", cell: (image) => image.source },
        { title: "Digest", cell: (image) => <span className="rf-mono" title={image.digest}>{image.digest.slice(0, 19)}…</span> },
      ]}
      form={(_, close) => <ImportDialog onClose={close} />}
      removal={{
        busy: remove.isPending,
        error: remove.error,
        reset: remove.reset,
        warning: "Only an image that no VM was made from can be deleted.",
        onConfirm: (image, done) =>
          remove.mutate({ params: { path: { ref: image.id }, header: ifMatch(image) } }, { onSuccess: done }),
      }}
    />
  );
}

function ImportDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [source, setSource] = useState("");
  const [digest, setDigest] = useState("");
  const follow = useFollow();
  const create = api.useMutation("post", "/v1/images", {
    onSuccess: (begun) => {
      follow(begun.operation);
      onClose();
    },
  });
  return (
    <FormDialog
      title="Import an image"
      description="The controller fetches it, and keeps it only if its content has the digest that you give."
      submit="Import"
      ready={isName(name) && /^https?:\/\//.test(source) && DIGEST.test(digest)}
      busy={create.isPending}
      error={create.error}
      onSubmit={() => create.mutate({ body: { name, source, digest } })}
      onClose={onClose}
    >
      <NameField value={name} onChange={setName} />
      <TextField label="URL" type="url" value={source} onChange={setSource} required help="http or https." />
      <TextField
        label="Digest"
        value={digest}
        onChange={(text) => setDigest(text.trim().toLowerCase())}
        required
        help="sha256: and 64 hex digits."
        wrong={digest !== "" && !DIGEST.test(digest) && "It is sha256: and 64 hex digits."}
      />
      <Content component="small">
        To upload a file instead: <code>ringfence image import FILE --name NAME</code>
      </Content>
    </FormDialog>
  );
}
