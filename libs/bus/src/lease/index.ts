export { LeaseKeeper } from './lease-keeper.ts'
export { LEASE_TIMES } from './lease-rules.ts'
export { isMemberKey, LeaseTable, leaseKey } from './lease-table.ts'

export type { LeaseTimes } from './lease-rules.ts'
export type { LeaseNews } from './lease-table.ts'
