// Imported into a process under test (`node --import`): answers over the IPC channel what the process has used. The service itself
// knows nothing of it.
import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface ProbeAnswer {
  /** User and system time of all threads since the start. */
  readonly cpuUs: number
  readonly rssBytes: number
  /** After a full garbage collection where one was asked for. */
  readonly heapBytes: number
}

export type ProbeQuestion = 'usage' | 'usage-after-gc'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

process.on('message', (question: ProbeQuestion) => {
  const { user, system } = process.cpuUsage()
  if (question === 'usage-after-gc') collect()
  const { rss, heapUsed } = process.memoryUsage()
  process.send?.({ cpuUs: user + system, rssBytes: rss, heapBytes: heapUsed } satisfies ProbeAnswer)
})
// The channel must not keep the process alive.
process.channel?.unref()
