/** Catches a page that breaks, so that the frame around it stays: a bug of ours, told as one. */
import { Alert, Button, PageSection } from "@patternfly/react-core";
import { Component, type ReactNode } from "react";

export class Mishap extends Component<{ children: ReactNode }, { broke: Error | null }> {
  override state = { broke: null };

  static getDerivedStateFromError(broke: Error) {
    return { broke };
  }

  override render() {
    const broke: Error | null = this.state.broke;
    if (broke === null) return this.props.children;
    return (
      <PageSection hasBodyWrapper={false}>
        <Alert
          isInline
          variant="danger"
          title="This page broke"
          actionLinks={
            <Button variant="link" isInline onClick={() => location.reload()}>
              Load it again
            </Button>
          }
        >
          Nothing was changed in the cloud. It is a bug of the web interface; please report it: {String(broke)}
        </Alert>
      </PageSection>
    );
  }
}
