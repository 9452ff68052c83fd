/** Creating a VM, step by step: who it is, what it is, whom it meets, and where it could run and why not elsewhere. */
import {
  Content,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Form,
  PageSection,
  Radio,
  Wizard,
  WizardStep,
} from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useState } from "react";
import { Link, useNavigate } from "react-router";

import { api, type Schemas } from "../api/client";
import { bytes, mib, parseLabels, showLabels } from "../format";
import { useMay } from "../may";
import { ChoiceField, isName, LinesField, NameField, TextField } from "../parts/fields";
import { useFollow } from "../parts/follow";
import { Heading, Loaded } from "../parts/page";
import { ProblemAlert } from "../parts/problems";
import { StateLabel } from "../parts/states";
import { Networks } from "../parts/networks";

interface Draft {
  name: string;
  project: string;
  zone: string;
  owner: string;
  flavor: string;
  image: string;
  networks: readonly string[];
  labels: string;
  userData: string;
  host: string;
}

const EMPTY: Draft = {
  name: "",
  project: "",
  zone: "",
  owner: "",
  flavor: "",
  image: "",
  networks: [],
  labels: "",
  userData: "",
  host: "",
};
const ALL = { params: { query: { limit: 1000 } } };

export function CreateVmPage() {
  const [draft, setDraft] = useState(EMPTY);
  const [key] = useState(() => newKey());
  const go = useNavigate();
  const follow = useFollow();
  const seesHosts = useMay().cloud("host:read");
  const labels = parseLabels(draft.labels);
  const create = api.useMutation("post", "/v1/vms", {
    onSuccess: (begun) => {
      follow(begun.id);
      void go(`/vms/${begun.subject_id}`);
    },
  });
  const set = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const identified = isName(draft.name) && draft.project !== "" && draft.zone !== "";
  const shaped = draft.flavor !== "" && draft.image !== "";
  const connected = labels !== null;
  const submit = () =>
    create.mutate({ params: { header: { "idempotency-key": key } }, body: asked(draft, labels ?? {}) });
  return (
    <>
      <Heading title="Create a VM" under={{ to: "/vms", name: "VMs" }} />
      <PageSection hasBodyWrapper={false} isFilled type="wizard">
        <Wizard onClose={() => void go("/vms")} onSave={submit} title="Create a VM" height="100%">
          <WizardStep name="Identity" id="identity" footer={{ isNextDisabled: !identified }}>
            <Identity draft={draft} set={set} />
          </WizardStep>
          <WizardStep
            name="Image and flavor"
            id="shape"
            isDisabled={!identified}
            footer={{ isNextDisabled: !shaped }}
          >
            <Shape draft={draft} set={set} />
          </WizardStep>
          <WizardStep
            name="Networks and labels"
            id="networks"
            isDisabled={!identified || !shaped}
            footer={{ isNextDisabled: !connected }}
          >
            <Connections draft={draft} set={set} />
          </WizardStep>
          <WizardStep
            name="Placement"
            id="placement"
            isDisabled={!identified || !shaped || !connected}
            isHidden={!seesHosts}
          >
            {seesHosts && <Placement draft={draft} set={set} />}
          </WizardStep>
          <WizardStep
            name="Review"
            id="review"
            isDisabled={!identified || !shaped || !connected}
            footer={{ nextButtonText: "Create", nextButtonProps: { isLoading: create.isPending } }}
          >
            <Review draft={draft} error={create.error} />
          </WizardStep>
        </Wizard>
      </PageSection>
    </>
  );
}

/** A key for this one create: sent again, it makes no second VM. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function asked(draft: Draft, labels: Record<string, string>): Schemas["VmAsked"] {
  return {
    name: draft.name,
    project: draft.project,
    zone: draft.zone,
    owner: draft.owner.trim() || null,
    flavor: draft.flavor,
    image: draft.image,
    networks: [...draft.networks],
    labels,
    user_data: draft.userData,
    host: draft.host || null,
  };
}

interface StepProps {
  draft: Draft;
  set: (part: Partial<Draft>) => void;
}

function Identity({ draft, set }: StepProps) {
  const may = useMay();
  const projects = api.useQuery("get", "/v1/projects", ALL);
  const zones = api.useQuery("get", "/v1/zones", ALL);
  const project = projects.data?.items.find((one) => one.name === draft.project);
  return (
    <Form isWidthLimited>
      <NameField value={draft.name} onChange={(name) => set({ name })} help="Unique in its project." />
      <Loaded of={projects} lines={1}>
        {({ items }) => (
          <ChoiceField
            label="Project"
            required
            value={draft.project}
            onChange={(project) => set({ project })}
            none="Choose a project"
            choices={items
              .filter((one) => may.within(one.id, "vm:create"))
              .map((one) => ({ value: one.name, label: one.name }))}
            help={items.length === 0 ? <Link to="/projects">There is none yet: create one.</Link> : "The tenant that it is of, for life."}
          />
        )}
      </Loaded>
      <Loaded of={zones} lines={1}>
        {({ items }) => (
          <ChoiceField
            label="Zone"
            required
            value={draft.zone}
            onChange={(zone) => set({ zone })}
            none="Choose a zone"
            choices={items.map((one) => ({
              value: one.name,
              label: one.classification ? `${one.name} (${one.classification})` : one.name,
            }))}
            help={items.length === 0 ? <Link to="/zones">There is none yet: create one.</Link> : "It never runs beside a zone that does not mix with this one. For life."}
          />
        )}
      </Loaded>
      <TextField
        label="Owner"
        value={draft.owner}
        onChange={(owner) => set({ owner })}
        help={project ? `If you leave it empty: ${project.owner}, who owns the project.` : "The project's owner if you leave it empty."}
      />
    </Form>
  );
}

function Shape({ draft, set }: StepProps) {
  const flavors = api.useQuery("get", "/v1/flavors", ALL);
  const images = api.useQuery("get", "/v1/images", ALL);
  const image = images.data?.items.find((one) => one.name === draft.image);
  return (
    <Form isWidthLimited>
      <Loaded of={images} lines={1}>
        {({ items }) => (
          <ChoiceField
            label="Image"
            required
            value={draft.image}
            onChange={(image) => set({ image })}
            none="Choose an image"
            choices={items
              .filter((one) => one.state === "ready")
              .map((one) => ({ value: one.name, label: `${one.name} (${bytes(one.virtual_bytes ?? 0)})` }))}
            help={items.length === 0 ? <Link to="/images">There is none yet: import one.</Link> : "Its disk begins as a copy of it."}
          />
        )}
      </Loaded>
      <Loaded of={flavors} lines={1}>
        {({ items }) => {
          const flavor = items.find((one) => one.name === draft.flavor);
          const small = flavor && image?.virtual_bytes && flavor.disk_bytes < image.virtual_bytes;
          return (
            <ChoiceField
              label="Flavor"
              required
              value={draft.flavor}
              onChange={(flavor) => set({ flavor })}
              none="Choose a flavor"
              choices={items.map((one) => ({
                value: one.name,
                label: `${one.name}: ${one.vcpus} vCPU, ${mib(one.memory_mib)} memory, ${bytes(one.disk_bytes)} disk`,
              }))}
              help={items.length === 0 ? <Link to="/flavors">There is none yet: create one.</Link> : undefined}
              wrong={small ? `Its disk is smaller than the image, which needs ${bytes(image?.virtual_bytes ?? 0)}.` : false}
            />
          );
        }}
      </Loaded>
    </Form>
  );
}

function Connections({ draft, set }: StepProps) {
  const wrong = parseLabels(draft.labels) === null;
  return (
    <Form isWidthLimited>
      <Networks project={draft.project} chosen={draft.networks} onChange={(networks) => set({ networks })} />
      <LinesField
        label="Labels"
        value={draft.labels}
        onChange={(labels) => set({ labels })}
        help="One key=value a line. Policies select by them, so they decide who may reach it."
        wrong={wrong && "Each line is key=value."}
      />
      <LinesField
        label="User data"
        value={draft.userData}
        onChange={(userData) => set({ userData })}
        help="For cloud-init. It stands in the database: no password belongs here."
      />
    </Form>
  );
}

function Placement({ draft, set }: StepProps) {
  const hosts = api.useQuery("get", "/v1/hosts", ALL);
  const placement = api.useQuery("post", "/v1/placements", { body: { zone: draft.zone, flavor: draft.flavor } });
  return (
    <Loaded of={placement}>
      {(seen) => {
        const company = (name: string) => hosts.data?.items.find((one) => one.name === name)?.zones.join(", ") || "nobody";
        const fitting = [...(seen.host === null ? [] : [seen.host]), ...seen.others];
        return (
          <>
            <Content component="p">
              {seen.host === null
                ? "No host can take it now. The reasons are below; it can be created once one of them is gone."
                : `It would run on ${seen.host}: ${seen.reason}.`}
            </Content>
            <Radio
              id="place-any"
              name="place"
              label="Let the best host be chosen when it is created"
              isChecked={draft.host === ""}
              onChange={() => set({ host: "" })}
            />
            <Table variant="compact" aria-label="Where it could run">
              <Thead>
                <Tr>
                  <Th>Host</Th>
                  <Th>Could it run there?</Th>
                  <Th>Beside</Th>
                </Tr>
              </Thead>
              <Tbody>
                {fitting.map((name, at) => (
                  <Tr key={name}>
                    <Td dataLabel="Host">
                      <Radio
                        id={`place-${name}`}
                        name="place"
                        label={name}
                        isChecked={draft.host === name}
                        onChange={() => set({ host: name })}
                      />
                    </Td>
                    <Td dataLabel="Could it run there?">
                      <StateLabel state="done" text={at === 0 && seen.host === name ? "Yes, the first choice" : "Yes"} />
                    </Td>
                    <Td dataLabel="Beside">{company(name)}</Td>
                  </Tr>
                ))}
                {Object.entries(seen.rejected).map(([name, why]) => (
                  <Tr key={name}>
                    <Td dataLabel="Host">{name}</Td>
                    <Td dataLabel="Could it run there?">
                      <StateLabel state="failed" text="No" /> {why}
                    </Td>
                    <Td dataLabel="Beside">{company(name)}</Td>
                  </Tr>
                ))}
              </Tbody>
            </Table>
          </>
        );
      }}
    </Loaded>
  );
}

function Review({ draft, error }: { draft: Draft; error: unknown }) {
  const facts: [string, string][] = [
    ["Name", draft.name],
    ["Project", draft.project],
    ["Zone", draft.zone],
    ["Owner", draft.owner || "the project's owner"],
    ["Image", draft.image],
    ["Flavor", draft.flavor],
    ["Networks", draft.networks.join(", ") || "none: it reaches nobody"],
    ["Labels", showLabels(parseLabels(draft.labels) ?? {}) || "none"],
    ["Host", draft.host || "the best when it is created"],
  ];
  return (
    <>
      <DescriptionList isHorizontal isCompact>
        {facts.map(([name, value]) => (
          <DescriptionListGroup key={name}>
            <DescriptionListTerm>{name}</DescriptionListTerm>
            <DescriptionListDescription>{value}</DescriptionListDescription>
          </DescriptionListGroup>
        ))}
      </DescriptionList>
      {error !== null && <ProblemAlert error={error} />}
    </>
  );
}
