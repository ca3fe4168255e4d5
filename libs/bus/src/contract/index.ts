export { busContract } from './bus-contract.ts'

export type { BusSubject, BusUnderTest } from './bus-contract.ts'
