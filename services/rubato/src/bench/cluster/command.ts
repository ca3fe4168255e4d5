// `rubato bench cluster`: a real cluster on this machine, driven, scaled, restarted and broken.
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { Command } from 'commander'
import type { CliContext } from '../../cli/context.ts'
import { parsePositive, wholeNumber, wholeNumbers } from '../flag-values.ts'
import { renderReport } from '../serve/report/render.ts'
import { fleetOptions, loadShape, modeOf } from './cluster-options.ts'
import type { ClusterFlags } from './cluster-options.ts'
import { Fleet } from './fleet/fleet.ts'
import type { FleetOptions } from './fleet/fleet.ts'
import { drive } from './load/drive.ts'
import type { DriveIo, LoadShape } from './load/drive.ts'
import { runChaos } from './modes/chaos.ts'
import { runRolling } from './modes/rolling.ts'
import { runScale } from './modes/scale.ts'
import { runSoak } from './modes/soak.ts'
import { UsageSampler } from './modes/usage-sampler.ts'
import { stopOnSignal } from './stop-on-signal.ts'
import { renderChaos, renderRolling, renderScale, renderSoak, renderUsage } from './render.ts'

interface Outcome {
  readonly report: object
  readonly text: string
  readonly ok: boolean
}

async function onFleet(options: FleetOptions, work: (fleet: Fleet) => Promise<Outcome>): Promise<Outcome> {
  const fleet = await Fleet.start(options)
  try {
    return await work(fleet)
  } finally {
    options.progress('stopping')
    await fleet.stop()
  }
}

async function runPlain(fleet: Fleet, shape: LoadShape, io: DriveIo): Promise<Outcome> {
  const sampler = new UsageSampler(fleet)
  const { report } = await drive(fleet, shape, 'run', io)
  const usage = sampler.report()
  const shown = { percentileMetrics: ['ttft', 'tpot', 'itl', 'e2el'], metricPercentiles: [99] } as const
  return { report: { ...report, usage }, text: `${renderReport(report, shown)}\n${renderUsage(usage)}`, ok: report.failed === 0 }
}

async function runMode(flags: ClusterFlags, options: FleetOptions, io: DriveIo): Promise<Outcome> {
  const shape = loadShape(flags)
  switch (modeOf(flags)) {
    case 'plain':
      return onFleet(options, (fleet) => runPlain(fleet, shape, io))
    case 'scale': {
      const points = await runScale(options, shape, flags.scale ?? [1], io)
      return { report: { points }, text: renderScale(points), ok: points.every(({ failed }) => failed === 0) }
    }
    case 'rolling':
      return onFleet(options, async (fleet) => {
        const report = await runRolling(fleet, shape, io)
        return { report, text: renderRolling(report), ok: report.failed === 0 && report.restarts.every(({ exit }) => exit === 0) }
      })
    case 'chaos':
      return onFleet(options, async (fleet) => {
        const report = await runChaos(fleet, shape, io)
        const wrong = report.failed + report.duplicated_tokens + report.missing_tokens + report.differing_tokens
        return { report, text: renderChaos(report), ok: wrong === 0 }
      })
    case 'soak':
      return onFleet({ ...options, probed: 'all' }, async (fleet) => {
        const report = await runSoak(fleet, shape, flags.soak ?? 1, io)
        return { report, text: renderSoak(report), ok: report.failed === 0 }
      })
  }
}

async function benchCluster(model: string | undefined, flags: ClusterFlags, context: CliContext): Promise<void> {
  const { signal, exitCode, release } = stopOnSignal()
  const startMs = performance.now()
  const progress = (line: string): void => void process.stderr.write(`[bench +${((performance.now() - startMs) / 1000).toFixed(1)}s] ${line}\n`)
  try {
    const io: DriveIo = { progress, signal }
    const { report, text, ok } = await runMode(flags, fleetOptions(flags, model, { ...io, env: context.env }), io)
    if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify({ mode: modeOf(flags), ...report }, null, 2)}\n`)
    context.print(text)
    process.exitCode = exitCode(ok ? 0 : 1)
  } finally {
    release()
  }
}

/** Exit code 1 where a request failed, a token was wrong or a restarted process did not leave with 0; 130 after a signal. */
export function benchClusterCommand(context: CliContext): Command {
  return new Command('cluster')
    .description('Starts nats-server and N processes of each kind on this machine, drives them over gRPC, and reports.')
    .argument('[MODEL]', 'checkpoint directory (default: the bundled target)')
    .option('--routers <N>', 'router processes (default: 1; 2 with --rolling and --chaos)', wholeNumber('routers', 1))
    .option('--prefill <N>', 'prefill processes', wholeNumber('prefill', 0), 1)
    .option('--decode <N>', 'decode processes', wholeNumber('decode', 0), 1)
    .option('--engine <ENGINE>', 'onnx, or synthetic[:STEP_MS]: made-up tokens at a fixed speed', 'synthetic:10')
    .option('--requests <N>', 'requests (with --scale: per unit of scale)', wholeNumber('requests', 1), 200)
    .option('--concurrency <N>', 'requests in flight (with --scale: per unit of scale)', wholeNumber('concurrency', 1), 16)
    .option('--input-len <TOKENS>', 'mean prompt length', wholeNumber('input-len', 1), 256)
    .option('--output-len <TOKENS>', 'mean output length', wholeNumber('output-len', 1), 128)
    .option('--seed <N>', 'of prompts, lengths, tokens and faults', wholeNumber('seed', 0), 1)
    .option('--scale <LIST>', 'fleets of these multiples of --prefill and --decode; tokens per second of each', wholeNumbers('scale', 1))
    .option('--rolling', 'restart every process under load, one by one')
    .option('--chaos', 'kill, freeze and restart processes and the broker under load; compare tokens with an undisturbed run')
    .option('--soak <MINUTES>', 'steady load for this long; memory and latency over time', (text) => parsePositive('soak', text))
    .option('--placement <POLICY>', 'as of rubato router')
    .option('--dispatch <POLICY>', 'as of rubato router')
    .option('--router-flags <WORDS>', 'further flags of every router, in one string')
    .option('--instance-flags <WORDS>', 'further flags of every instance, in one string')
    .option('--nats-server <FILE>', 'the binary (default: NATS_SERVER, or found on this machine)')
    .option('--log-dir <DIR>', 'keep the logs of all processes there')
    .option('--json <FILE>', 'write the report there')
    .action((model: string | undefined, flags: ClusterFlags) => benchCluster(model, flags, context))
}
