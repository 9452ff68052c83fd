/** The frame around every page: where one is, where one may go, whether what is shown is live, and who one is. */
import {
  Banner,
  Brand,
  Button,
  Dropdown,
  DropdownItem,
  DropdownList,
  Label,
  Masthead,
  MastheadBrand,
  MastheadContent,
  MastheadLogo,
  MastheadMain,
  MastheadToggle,
  MenuToggle,
  Nav,
  NavGroup,
  NavItem,
  Page,
  PageSidebar,
  PageSidebarBody,
  PageToggleButton,
  SkipToContent,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from "@patternfly/react-core";
import { BarsIcon } from "@patternfly/react-icons/dist/esm/icons/bars-icon";
import { MoonIcon } from "@patternfly/react-icons/dist/esm/icons/moon-icon";
import { OutlinedUserCircleIcon } from "@patternfly/react-icons/dist/esm/icons/outlined-user-circle-icon";
import { SunIcon } from "@patternfly/react-icons/dist/esm/icons/sun-icon";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Link, useLocation, useNavigate } from "react-router";

import { type Liveness, useLive } from "./api/live";
import { api } from "./api/client";
import { type Permission, useMay } from "./may";
import { signOut } from "./signing-in";
import { setDark, useDark } from "./theme";

/** `within`: it shows what one may see of some project, too; otherwise it is about the cloud as a whole. */
interface Place {
  to: string;
  name: string;
  needs?: Permission;
  within?: true;
}

const PLACES: readonly { group: string; items: readonly Place[] }[] = [
  {
    group: "Cloud",
    items: [
      { to: "/", name: "Overview" },
      { to: "/promises", name: "Promises", needs: "cloud:read" },
      { to: "/operations", name: "Operations", needs: "vm:read", within: true },
      { to: "/ledger", name: "Ledger", needs: "ledger:read" },
    ],
  },
  {
    group: "Machines",
    items: [
      { to: "/vms", name: "VMs", needs: "vm:read", within: true },
      { to: "/images", name: "Images", needs: "image:read", within: true },
      { to: "/flavors", name: "Flavors", needs: "flavor:read", within: true },
      { to: "/hosts", name: "Hosts", needs: "host:read" },
    ],
  },
  {
    group: "Isolation",
    items: [
      { to: "/fence", name: "Fence", needs: "policy:read", within: true },
      { to: "/zones", name: "Zones", needs: "zone:read", within: true },
      { to: "/networks", name: "Networks", needs: "network:read", within: true },
    ],
  },
  {
    group: "People",
    items: [
      { to: "/projects", name: "Projects", needs: "project:read", within: true },
      { to: "/accounts", name: "Accounts", needs: "account:read" },
    ],
  },
];

const MAIN = "content";

export function Frame({ children }: { children: ReactNode }) {
  const live = useLive();
  const { pathname } = useLocation();
  const main = useRef(pathname);
  useEffect(() => {
    // A new page begins at its top, and a screen reader at its content.
    if (main.current === pathname) return;
    main.current = pathname;
    document.getElementById(MAIN)?.focus({ preventScroll: true });
  }, [pathname]);
  return (
    <Page
      masthead={<Top live={live} />}
      sidebar={<Side />}
      isManagedSidebar
      mainContainerId={MAIN}
      skipToContent={<SkipToContent href={`#${MAIN}`}>Skip to content</SkipToContent>}
    >
      <Simulated />
      {children}
    </Page>
  );
}

/** On every page of a controller whose hosts are simulated: nothing there is proof of anything. */
export function Simulated() {
  const about = api.useQuery("get", "/v1/about").data;
  if (about?.simulated !== true) return null;
  return (
    <Banner status="warning" isSticky>
      Simulated: no guest runs behind this controller, and nothing here shows a promise.
    </Banner>
  );
}

function Top({ live }: { live: Liveness }) {
  return (
    <Masthead>
      <MastheadMain>
        <MastheadToggle>
          <PageToggleButton isHamburgerButton={false} variant="plain" aria-label="Navigation">
            <BarsIcon />
          </PageToggleButton>
        </MastheadToggle>
        <MastheadBrand>
          <MastheadLogo component={(props) => <Link {...props} to="/" aria-label="ringfence, to the overview" />}>
            <Brand src="/favicon.svg" alt="" heights={{ default: "28px" }} />
            <span className="rf-wordmark">ringfence</span>
          </MastheadLogo>
        </MastheadBrand>
      </MastheadMain>
      <MastheadContent>
        <Toolbar isStatic>
          <ToolbarContent>
            <ToolbarGroup align={{ default: "alignEnd" }} gap={{ default: "gapMd" }}>
              <ToolbarItem>
                <LiveLabel live={live} />
              </ToolbarItem>
              <ToolbarItem>
                <ThemeSwitch />
              </ToolbarItem>
              <ToolbarItem>
                <AccountMenu />
              </ToolbarItem>
            </ToolbarGroup>
          </ToolbarContent>
        </Toolbar>
      </MastheadContent>
    </Masthead>
  );
}

function LiveLabel({ live }: { live: Liveness }) {
  const looks = {
    live: { status: "success", text: "Live" },
    connecting: { status: "info", text: "Connecting" },
    away: { status: "warning", text: "Controller away" },
  } as const;
  return (
    <span role="status">
      <Label variant="outline" isCompact status={looks[live].status}>
        {looks[live].text}
      </Label>
    </span>
  );
}

function ThemeSwitch() {
  const dark = useDark();
  return (
    <Button
      variant="plain"
      aria-label={dark ? "Switch to the light theme" : "Switch to the dark theme"}
      icon={dark ? <SunIcon /> : <MoonIcon />}
      onClick={() => setDark(!dark)}
    />
  );
}

function AccountMenu() {
  const [open, setOpen] = useState(false);
  const go = useNavigate();
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: "right" }}
      toggle={(toggle) => (
        <MenuToggle
          ref={toggle}
          variant="plain"
          isExpanded={open}
          onClick={() => setOpen(!open)}
          aria-label="My account"
          icon={<OutlinedUserCircleIcon />}
        />
      )}
    >
      <DropdownList>
        <DropdownItem onClick={() => void go("/account")}>My account</DropdownItem>
        <DropdownItem to="/docs" target="_blank" rel="noreferrer">
          The API, described
        </DropdownItem>
        <DropdownItem onClick={() => void signOut()}>Sign out</DropdownItem>
      </DropdownList>
    </Dropdown>
  );
}

function Side() {
  const { pathname } = useLocation();
  const may = useMay();
  const open = ({ needs, within }: Place) => needs === undefined || (within ? may.somewhere(needs) : may.cloud(needs));
  const groups = PLACES.map(({ group, items }) => ({ group, items: items.filter(open) })).filter(({ items }) => items.length > 0);
  return (
    <PageSidebar>
      <PageSidebarBody>
        <Nav aria-label="Pages">
          {groups.map(({ group, items }) => (
            <NavGroup key={group} title={group}>
              {items.map(({ to, name }) => (
                <NavItem key={to} itemId={to} isActive={isAt(pathname, to)}>
                  <Link to={to}>{name}</Link>
                </NavItem>
              ))}
            </NavGroup>
          ))}
        </Nav>
      </PageSidebarBody>
    </PageSidebar>
  );
}

function isAt(pathname: string, to: string): boolean {
  return to === "/" ? pathname === "/" : pathname === to || pathname.startsWith(`${to}/`);
}
