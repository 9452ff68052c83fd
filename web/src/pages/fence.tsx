/** The fence: a picture, a matrix of who may call whom, and the policies that say so. */
import { PageSection, Tab, Tabs, TabTitleText } from "@patternfly/react-core";
import { lazy, Suspense } from "react";
import { Navigate, useNavigate, useParams } from "react-router";

import { api } from "../api/client";
import { mayOf } from "../may";
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
  const session = api.useQuery("get", "/v1/session");
  if (!(view in VIEWS)) return <NotFoundPage />;
  // Who may call whom is told of the whole cloud; its policies, of what one may see.
  const whole = mayOf(session.data).cloud("policy:read");
  if (session.data !== undefined && !whole && view !== "policies") return <Navigate to="/fence/policies" replace />;
  const views = Object.entries(VIEWS).filter(([key]) => whole || key === "policies");
  return (
    <>
      <Heading title="Fence" about={`No packet passes between two VMs unless a policy allows it.${whole ? " What is not shown here is denied." : ""}`} />
      <PageSection hasBodyWrapper={false} type="tabs">
        <Tabs activeKey={view} onSelect={(_, key) => void go(`/fence/${key}`)} aria-label="Views of the fence" usePageInsets>
          {views.map(([key, name]) => (
            <Tab key={key} eventKey={key} title={<TabTitleText>{name}</TabTitleText>} tabContentId={`fence-${key}`} />
          ))}
        </Tabs>
      </PageSection>
      <PageSection hasBodyWrapper={false} id={`fence-${view}`} role="tabpanel" aria-label={VIEWS[view as View]}>
        {view === "picture" && whole && (
          <Suspense fallback={<Loading />}>
            <PictureView />
          </Suspense>
        )}
        {view === "matrix" && whole && <MatrixView />}
        {view === "policies" && <PoliciesView />}
      </PageSection>
    </>
  );
}
