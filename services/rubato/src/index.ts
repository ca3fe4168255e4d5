export { EmbeddedCluster } from './embedded/cluster.ts'

export type { ClusterOptions } from './embedded/cluster.ts'
