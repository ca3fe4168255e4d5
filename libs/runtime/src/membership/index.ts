export { LoadMonitor, MONITOR_ADDRESS } from './load-monitor.ts'
export { MemberDirectory } from './member-directory.ts'
