export { SimCluster } from './sim-cluster.ts'

export type { SimRequestEnd, SimRequestRecord } from './clients/record.ts'
export type { SimAdmission, SimClusterOptions, SimDeath, SimDrafts, SimHosted, SimInstanceSpec, SimLink, SimRecording } from './options.ts'
export type { KillOptions, LinkFaults, MoveOptions, SimInstanceView, SimTraffic } from './sim-cluster.ts'
