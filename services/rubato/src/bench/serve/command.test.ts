import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { benchServeCommand } from './command.ts'
import { optionsOf } from './command-flags.ts'
import type { BenchServeFlags } from './command-flags.ts'
import { BENCH_SERVE_DEFAULTS } from './options.ts'
import type { BenchServeOptions } from './options.ts'

/** What these arguments mean, without running anything. */
function parse(...args: readonly string[]): BenchServeOptions {
  const command = benchServeCommand().exitOverride().configureOutput({ writeErr: () => {} }).action(() => {})
  command.parse(args, { from: 'user' })
  return optionsOf(command.opts<BenchServeFlags>())
}

const fieldOf = (...args: readonly string[]): string | undefined => {
  try {
    parse(...args)
  } catch (error) {
    assert.ok(error instanceof InvalidArgument, String(error))
    return error.field
  }
  return assert.fail(`${args.join(' ')} was accepted`)
}

test('without flags the defaults hold', () => {
  assert.deepEqual(parse(), BENCH_SERVE_DEFAULTS)
})

test('the flags of a vLLM command line are understood', () => {
  const options = parse(
    '--backend', 'openai-chat', '--base-url', 'https://host:8443/', '--model', 'm', '--dataset-name', 'random', '--num-prompts', '20', '--request-rate', '4.5', '--burstiness', '0.5',
    '--max-concurrency', '8', '--goodput', 'ttft:200', 'tpot:20', 'e2el:3000', '--percentile-metrics', 'ttft,e2el', '--metric-percentiles', '50,99.9', '--seed', '3', '--ignore-eos',
    '--random-input-len', '64', '--random-output-len', '16', '--random-range-ratio', '0.2', '--header', 'x-a=1', 'x-b=c=d', '--api-key', 'k', '--temperature', '0.7', '--save-detailed',
  )
  assert.deepEqual(options.target, { ...BENCH_SERVE_DEFAULTS.target, backend: 'openai-chat', baseUrl: 'https://host:8443', endpoint: '/v1/chat/completions', apiKey: 'k', headers: { 'x-a': '1', 'x-b': 'c=d' } })
  assert.deepEqual(options.load, { requestRatePerSec: 4.5, burstiness: 0.5, maxConcurrency: 8, numWarmups: 0 })
  assert.deepEqual(options.goodput, { ttftMs: 200, tpotMs: 20, e2elMs: 3000 })
  assert.deepEqual(options.report, { label: null, metadata: {}, percentileMetrics: ['ttft', 'e2el'], metricPercentiles: [50, 99.9], detailed: true })
  assert.deepEqual([options.dataset.numPrompts, options.dataset.inputTokens, options.dataset.outputTokens, options.dataset.rangeRatio], [20, 64, 16, 0.2])
  assert.deepEqual([options.seed, options.model, options.sampling.ignoreEos, options.sampling.temperature], [3, 'm', true, 0.7])
})

test('--host and --port make the URL, --grpc chooses its backend', () => {
  assert.equal(parse('--host', '::1', '--port', '9000').target.baseUrl, 'http://[::1]:9000')
  const { backend, grpcAddress } = parse('--grpc', 'node:50051').target
  assert.deepEqual([backend, grpcAddress], ['rubato-grpc', 'node:50051'])
})

test('infinite rate and burstiness, targets in one word, general lengths', () => {
  const options = parse('--request-rate', 'inf', '--burstiness', 'inf', '--goodput', 'ttft:5,tpot:6', '--input-len', '7', '--output-len', '9')
  assert.deepEqual([options.load.requestRatePerSec, options.load.burstiness], [null, Infinity])
  assert.deepEqual(options.goodput, { ttftMs: 5, tpotMs: 6, e2elMs: null })
  assert.deepEqual([options.dataset.inputTokens, options.dataset.outputTokens], [7, 9])
})

test('targets sent to the server: those of the data set, all, or none', () => {
  assert.deepEqual([parse().sampling.sendSlo, parse('--send-slo').sampling.sendSlo, parse('--no-send-slo').sampling.sendSlo], ['dataset', 'always', 'never'])
})

test('mixed-slo classes take lists', () => {
  const options = parse('--dataset-name', 'mixed-slo', '--mixed-slo-shares', '1,1,2', '--mixed-slo-tpot', '2x,50,none', '--mixed-slo-ttft', '500,none,3x', '--mixed-slo-input-lens', '8,9,10', '--baseline-tpot-ms', '4')
  assert.deepEqual(options.dataset.classes, [
    { name: 'coding', share: 1, inputTokens: 8, outputTokens: 96, ttft: { kind: 'ms', ms: 500 }, tpot: { kind: 'times', factor: 2 } },
    { name: 'chat', share: 1, inputTokens: 9, outputTokens: 96, ttft: { kind: 'none' }, tpot: { kind: 'ms', ms: 50 } },
    { name: 'summarisation', share: 2, inputTokens: 10, outputTokens: 64, ttft: { kind: 'times', factor: 3 }, tpot: { kind: 'none' } },
  ])
  assert.equal(options.dataset.baselineTpotMs, 4)
})

test('a wrong value is refused by the name of its flag', () => {
  const wrong: readonly (readonly [string, ...string[]])[] = [
    ['--num-prompts', '0'], ['--request-rate', '-1'], ['--burstiness', '0'], ['--max-concurrency', '1.5'], ['--goodput', 'tbt:5'], ['--goodput', 'ttft:x'], ['--percentile-metrics', 'ttft,latency'],
    ['--metric-percentiles', '101'], ['--seed', 'a'], ['--random-range-ratio', '1'], ['--header', 'novalue'], ['--extra-body', '[1]'], ['--base-url', 'host:80'], ['--mixed-slo-shares', '1,2'],
    ['--mixed-slo-shares', '0,0,0'], ['--mixed-slo-tpot', '1x,2x,fast'], ['--temperature', '-1'], ['--trace-scale', '0'], ['--random-vocab-size', '10'],
  ]
  for (const args of wrong) assert.equal(fieldOf(...args), args[0])
  assert.equal(fieldOf('--dataset-name', 'trace'), '--dataset-path')
  assert.equal(fieldOf('--dataset-name', 'mixed-slo', '--goodput', 'ttft:5'), '--goodput')
  assert.equal(fieldOf('--grpc', 'a:1', '--backend', 'openai'), '--grpc')
  assert.equal(fieldOf('--grpc', 'a:1', '--extra-body', '{}'), '--extra-body')
})

test('an unknown flag or backend is refused, not ignored', () => {
  assert.throws(() => parse('--tokenizer', 'x'), /unknown option/)
  assert.throws(() => parse('--backend', 'tgi'), /Allowed choices/)
})
