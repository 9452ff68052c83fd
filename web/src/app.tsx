/** The routes. What is heavy, the terminal, the screen and the picture, is loaded when it is wanted. */
import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { Navigate, Route, Routes, useLocation } from "react-router";

import { Frame, Simulated } from "./frame";
import { AccountPage } from "./pages/account";
import { AccountsPage } from "./pages/accounts";
import { FencePage } from "./pages/fence";
import { FlavorsPage } from "./pages/flavors";
import { HostPage } from "./pages/host";
import { HostsPage } from "./pages/hosts";
import { ImagesPage } from "./pages/images";
import { EntryPage } from "./pages/entry";
import { LedgerPage } from "./pages/ledger";
import { NetworksPage } from "./pages/networks";
import { NotFoundPage } from "./pages/not-found";
import { OperationPage } from "./pages/operation";
import { OperationsPage } from "./pages/operations";
import { OverviewPage } from "./pages/overview";
import { ProjectPage } from "./pages/project";
import { ProjectsPage } from "./pages/projects";
import { PromisesPage } from "./pages/promises";
import { SetUpPage } from "./pages/set-up";
import { SignInPage } from "./pages/sign-in";
import { CreateVmPage } from "./pages/vm-create";
import { VmPage } from "./pages/vm";
import { VmsPage } from "./pages/vms";
import { ZonesPage } from "./pages/zones";
import { Following } from "./parts/follow";
import { Mishap } from "./parts/mishap";
import { signedOut, useSession } from "./session";
import { resume } from "./signing-in";

const ConsolePage = lazy(() => import("./pages/console"));
const ScreenPage = lazy(() => import("./pages/screen"));

export function App() {
  const session = useSession();
  const signedIn = session === "token" || session === "session";
  const client = useQueryClient();
  const here = useLocation();
  useEffect(() => {
    // SAFETY: what one person saw is not there for the next one at this desk.
    if (!signedIn) client.clear();
  }, [signedIn, client]);
  useEffect(() => {
    if (session === "asking") resume().catch(() => signedOut());
  }, [session]);
  if (here.pathname === "/setup") {
    return (
      <>
        <Simulated />
        <SetUpPage />
      </>
    );
  }
  if (session === "asking") return null;
  if (!signedIn) {
    if (here.pathname !== "/login") return <Navigate to="/login" state={{ from: here }} replace />;
    return (
      <>
        <Simulated />
        <SignInPage />
      </>
    );
  }
  return (
    <Following>
      <Frame>
        <Mishap key={here.pathname}>
          <Suspense fallback={null}>
            <Routes>
              <Route path="/" element={<OverviewPage />} />
              <Route path="/login" element={<Navigate to={backTo(here.state)} replace />} />
              <Route path="/promises" element={<PromisesPage />} />
              <Route path="/vms" element={<VmsPage />} />
              <Route path="/vms/new" element={<CreateVmPage />} />
              <Route path="/vms/:id" element={<VmPage />} />
              <Route path="/vms/:id/console" element={<ConsolePage />} />
              <Route path="/vms/:id/screen" element={<ScreenPage />} />
              <Route path="/fence" element={<Navigate to="/fence/picture" replace />} />
              <Route path="/fence/:view" element={<FencePage />} />
              <Route path="/zones" element={<ZonesPage />} />
              <Route path="/hosts" element={<HostsPage />} />
              <Route path="/hosts/:id" element={<HostPage />} />
              <Route path="/operations" element={<OperationsPage />} />
              <Route path="/operations/:id" element={<OperationPage />} />
              <Route path="/images" element={<ImagesPage />} />
              <Route path="/networks" element={<NetworksPage />} />
              <Route path="/flavors" element={<FlavorsPage />} />
              <Route path="/projects" element={<ProjectsPage />} />
              <Route path="/projects/:id" element={<ProjectPage />} />
              <Route path="/accounts" element={<AccountsPage />} />
              <Route path="/ledger" element={<LedgerPage />} />
              <Route path="/ledger/:index" element={<EntryPage />} />
              <Route path="/account" element={<AccountPage />} />
              <Route path="*" element={<NotFoundPage />} />
            </Routes>
          </Suspense>
        </Mishap>
      </Frame>
    </Following>
  );
}

function backTo(state: unknown): string {
  const from = (state as { from?: { pathname?: string; search?: string } } | null)?.from;
  return from?.pathname ? `${from.pathname}${from.search ?? ""}` : "/";
}
