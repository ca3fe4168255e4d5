// The `rubato` command.
import process from 'node:process'
import { runCli } from './cli/run.ts'

// `rubato … | head` closes our output early: no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
process.exit(await runCli(process.argv.slice(2), process.env))
