/** What whoever is signed in may do, as the controller tells it: what they may not is not offered. The API judges anyway. */
import { api, type Schemas } from "./api/client";

export type Permission = Schemas["Permission"];

export interface May {
  /** In the whole cloud. */
  cloud: (permission: Permission) => boolean;
  /** In this project; to what is of no project, in the cloud. */
  within: (projectId: string | null, permission: Permission) => boolean;
  /** In the cloud, or in one project at least. */
  somewhere: (permission: Permission) => boolean;
}

/** Nothing, while it is not known who asks. */
export function mayOf(told: Pick<Schemas["SessionTold"], "permissions" | "projects"> | undefined): May {
  const everywhere = new Set(told?.permissions);
  const projects = new Map(told?.projects.map((project) => [project.id, new Set(project.permissions)]));
  const cloud = (permission: Permission) => everywhere.has(permission);
  return {
    cloud,
    within: (id, permission) => cloud(permission) || (id !== null && projects.get(id)?.has(permission) === true),
    somewhere: (permission) => cloud(permission) || [...projects.values()].some((held) => held.has(permission)),
  };
}

export function useMay(): May {
  return mayOf(api.useQuery("get", "/v1/session").data);
}
