/** What every page has: a heading that names it, what can be done here, and what stands in for content that is not there. */
import {
  Breadcrumb,
  BreadcrumbItem,
  Button,
  Content,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  Flex,
  FlexItem,
  PageSection,
  Skeleton,
  Title,
} from "@patternfly/react-core";
import { type ComponentType, type ReactNode, useEffect } from "react";
import { Link } from "react-router";

import { ProblemAlert } from "./problems";

interface HeadingProps {
  title: string;
  about?: ReactNode;
  beside?: ReactNode;
  actions?: ReactNode;
  under?: { to: string; name: string };
}

export function Heading({ title, about, beside, actions, under }: HeadingProps) {
  useEffect(() => {
    document.title = `${title} · ringfence`;
  }, [title]);
  return (
    <PageSection hasBodyWrapper={false}>
      {under !== undefined && (
        <Breadcrumb className="rf-breadcrumb">
          <BreadcrumbItem render={({ className }) => <Link className={className} to={under.to}>{under.name}</Link>} />
          <BreadcrumbItem isActive>{title}</BreadcrumbItem>
        </Breadcrumb>
      )}
      <Flex alignItems={{ default: "alignItemsCenter" }}>
        <FlexItem grow={{ default: "grow" }}>
          <Flex alignItems={{ default: "alignItemsCenter" }} columnGap={{ default: "columnGapMd" }}>
            <Title headingLevel="h1" size="2xl">
              {title}
            </Title>
            {beside}
          </Flex>
          {about !== undefined && (
            <Content component="p" className="rf-about">
              {about}
            </Content>
          )}
        </FlexItem>
        {actions !== undefined && <FlexItem>{actions}</FlexItem>}
      </Flex>
    </PageSection>
  );
}

interface Asked<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
}

/** The shadow of what is not there yet. */
export function Loading({ lines = 4 }: { lines?: number }) {
  return (
    <div role="status" aria-label="Loading" className="rf-loading">
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} width={`${90 - 12 * (line % 3)}%`} screenreaderText={line === 0 ? "Loading" : ""} />
      ))}
    </div>
  );
}

/** What was asked for once it is there; before, a shadow of it; or why not. What was shown before stays while it fails. */
export function Loaded<T>({ of, children, lines = 4 }: { of: Asked<T>; children: (data: T) => ReactNode; lines?: number }) {
  if (of.data !== undefined) return <>{children(of.data)}</>;
  if (of.isPending) return <Loading lines={lines} />;
  return <ProblemAlert error={of.error} />;
}

interface NothingProps {
  icon: ComponentType;
  title: string;
  children: ReactNode;
  action?: { label: string; onClick: () => void };
  link?: { label: string; to: string };
}

/** An empty list that says what to do next. */
export function Nothing({ icon, title, children, action, link }: NothingProps) {
  return (
    <EmptyState headingLevel="h2" icon={icon} titleText={title}>
      <EmptyStateBody>{children}</EmptyStateBody>
      {(action !== undefined || link !== undefined) && (
        <EmptyStateFooter>
          <EmptyStateActions>
            {action !== undefined && <Button onClick={action.onClick}>{action.label}</Button>}
            {link !== undefined && (
              <Button variant="primary" component={(props) => <Link {...props} to={link.to} />}>
                {link.label}
              </Button>
            )}
          </EmptyStateActions>
        </EmptyStateFooter>
      )}
    </EmptyState>
  );
}
