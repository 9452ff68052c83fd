/** The fence: a picture, a matrix of who may call whom, and the policies that say so. */
import { PageSection, Tab, Tabs, TabTitleText } from "@patternfly/react-core";
import { lazy, Suspense } from "react";
import { useNavigate, useParams } from "react-router";

import { Heading, Loading } from "../parts/page";
import { MatrixView } from "./fence/matrix";
import { PoliciesView } from "./fence/policies";
import { NotFoundPage } from "./not-found";

const PictureView = lazy(() => import("./fence/picture"));
const VIEWS = { picture: "Picture", matrix: "Who may call whom", policies: "Policies" } as const;
type View = keyof typeof VIEWS;

export function FencePage() {
  const { view = "picture" } = useParams();
  const go = useNavigate();
  if (!(view in VIEWS)) return <NotFoundPage />;
  return (
    <>
      <Heading title="Fence" about="No packet passes between two VMs unless a policy allows it. What is not shown here is denied." />
      <PageSection hasBodyWrapper={false} type="tabs">
        <Tabs activeKey={view} onSelect={(_, key) => void go(`/fence/${key}`)} aria-label="Views of the fence" usePageInsets>
          {Object.entries(VIEWS).map(([key, name]) => (
            <Tab key={key} eventKey={key} title={<TabTitleText>{name}</TabTitleText>} tabContentId={`fence-${key}`} />
          ))}
        </Tabs>
      </PageSection>
      <PageSection hasBodyWrapper={false} id={`fence-${view}`} role="tabpanel" aria-label={VIEWS[view as View]} tabIndex={0}>
        {view === "picture" && (
          <Suspense fallback={<Loading />}>
            <PictureView />
          </Suspense>
        )}
        {view === "matrix" && <MatrixView />}
        {view === "policies" && <PoliciesView />}
      </PageSection>
    </>
  );
}
