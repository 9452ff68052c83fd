import { Checkbox, Content, FormGroup } from "@patternfly/react-core";
import { Link } from "react-router";

import { api } from "../api/client";
import { Loaded } from "./page";

interface NetworksProps {
  project: string;
  chosen: readonly string[];
  onChange: (names: readonly string[]) => void;
}

/** The networks a VM of the project may be on; a port on each that is chosen, in the order of the choices. */
export function Networks({ project, chosen, onChange }: NetworksProps) {
  const networks = api.useQuery("get", "/v1/networks", { params: { query: { limit: 1000 } } });
  return (
    <FormGroup role="group" label="Networks" fieldId="networks">
      <Loaded of={networks} lines={2}>
        {({ items }) => {
          const open = items.filter((one) => one.project === null || one.project === project);
          if (open.length === 0) {
            return (
              <Content component="p">
                There is none for this project. <Link to="/networks">Create one</Link>, or go on: a VM on no network
                reaches nobody.
              </Content>
            );
          }
          return open.map((one) => (
            <Checkbox
              key={one.id}
              id={`network-${one.id}`}
              label={one.name}
              description={one.project === null ? `${one.cidr}, for every project` : one.cidr}
              isChecked={chosen.includes(one.name)}
              onChange={(_, on) => onChange(on ? [...chosen, one.name] : chosen.filter((name) => name !== one.name))}
            />
          ));
        }}
      </Loaded>
    </FormGroup>
  );
}
