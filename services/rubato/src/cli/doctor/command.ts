// `rubato doctor`: every check, one line each, with the reason and the fix where something does not work.
import process from 'node:process'
import { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { EXIT_FAILED } from '../failure.ts'
import { renderTable } from '../table.ts'
import { engineChecks } from './engine-checks.ts'
import type { Finding } from './finding.ts'
import { hugePages, memory, natsServer, nodeVersion } from './machine-checks.ts'
import { bundledModels, cacheDir, configuration, natsReachable, packages, ports } from './service-checks.ts'

const MARKS: Readonly<Record<Finding['status'], string>> = { ok: 'ok', warning: 'warning', failed: 'FAILED', absent: '-' }

export function doctorCommand(context: CliContext): Command {
  return new Command('doctor')
    .description('Checks what works on this machine. Fails only when something that serving needs does not work.')
    .option('--nats <URL>', 'also: can a process join a cluster over these NATS servers?')
    .option('--json', '{ok, checks: [{name, status, detail, fix}]}')
    .action(async (options: { json?: true; nats?: string }) => {
      const checks = await examine(context, options.nats === undefined ? {} : { nats: options.nats })
      const allWell = checks.every(({ status }) => status !== 'failed')
      context.print(options.json === true ? JSON.stringify({ ok: allWell, checks }, null, 2) : renderFindings(checks, allWell))
      if (!allWell) process.exitCode = EXIT_FAILED
    })
}

async function examine(context: CliContext, flags: Readonly<Record<string, unknown>>): Promise<Finding[]> {
  const { finding, config } = await configuration(context, flags)
  return [
    nodeVersion(),
    finding,
    ...(await engineChecks()),
    hugePages(context),
    await memory(config.kvCacheBytes * (config.numMixed + config.numPrefill + config.numDecode)),
    ...(await packages()),
    ...(await bundledModels(context)),
    await cacheDir(config),
    ...(await ports(config)),
    natsServer(context),
    ...(await natsReachable(config)),
  ]
}

function renderFindings(findings: readonly Finding[], allWell: boolean): string {
  const rows = findings.map(({ name, status, detail, fix }) => [MARKS[status], name, fix === null ? detail : `${detail}. Fix: ${fix}`])
  return `${renderTable(rows)}\n\n${allWell ? 'rubato can serve on this machine' : 'rubato cannot serve on this machine yet'}`
}
