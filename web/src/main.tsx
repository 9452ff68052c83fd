import "@patternfly/react-core/dist/styles/base.css";
import "./style.css";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";

import { problemOf } from "./api/client";
import { App } from "./app";

const LOOK_AGAIN_MS = 30_000;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Changes are told as they happen; this is for those made through another controller.
      refetchInterval: LOOK_AGAIN_MS,
      staleTime: 2_000,
      retry: (failures, error) => failures < 2 && problemOf(error).family !== "refused",
    },
    mutations: { retry: false },
  },
});

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <BrowserRouter>
          <App />
        </BrowserRouter>
      </QueryClientProvider>
    </StrictMode>,
  );
}
