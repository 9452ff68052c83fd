import { PageSection } from "@patternfly/react-core";
import { MapSignsIcon } from "@patternfly/react-icons/dist/esm/icons/map-signs-icon";

import { Heading, Nothing } from "../parts/page";

export function NotFoundPage() {
  return (
    <>
      <Heading title="No such page" />
      <PageSection hasBodyWrapper={false}>
        <Nothing icon={MapSignsIcon} title="There is nothing at this address" link={{ to: "/", label: "To the overview" }}>
          The link may be old, or what it showed was deleted.
        </Nothing>
      </PageSection>
    </>
  );
}
