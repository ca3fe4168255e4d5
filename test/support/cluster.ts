// A real embedded cluster for tests: the bundled model, real engine, real HTTP and gRPC on free ports.
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import type { ServeConfig } from '@rubato/config'
import { EmbeddedCluster } from '@rubato/service-rubato'
import { temporaryFolder } from '@rubato/testing'
import { pino } from 'pino'

const root = path.resolve(import.meta.dirname, '../..')
export const TARGET_DIR = path.join(root, 'models/shakespeare-target')
export const PROFILE_FILE = path.join(root, 'libs/testing/profiles/fixed.json')

export function testConfig(cacheDir: string, overrides: Partial<ServeConfig> = {}): ServeConfig {
  return {
    modelDir: TARGET_DIR, servedModelName: 'shakespeare-target', dtype: 'float32', device: 'cpu', host: '127.0.0.1', httpPort: 0, grpcPort: 0, apiKey: null, tls: null,
    adminPort: null, insecure: false, numPrefill: 0, numDecode: 0, numMixed: 1, numSpeculators: 0, link: null, engine: { kind: 'onnx' }, dispatch: 'slo', placement: 'auto', migration: 'off', orphanTtlMs: 10_000, tracing: null, maxNumSeqs: 32, maxNumBatchedTokens: 512, maxModelLen: 1024, blockSize: 64, prefillCellTokens: 128, enablePrefixCaching: true,
    kvCacheBytes: 96 * 1024 * 1024, intraOpThreads: 1, batching: 'sarathi', speculation: { policy: 'off', proposer: 'draft', draftDir: null, drafting: 'auto' }, chatTemplate: null, generationConfig: 'auto', seed: null,
    maxConcurrentRequests: null, queueSize: 256, queueTimeoutMs: 60_000, migrationLimit: 3, shutdownTimeoutMs: 10_000, profile: PROFILE_FILE,
    profileBudgetMs: 10_000, cacheDir, tokenizerThreads: 1, logLevel: 'silent', ...overrides,
  }
}

/** Started and able to serve; closed after the test. */
export async function startCluster(t: Pick<TestContext, 'after'>, overrides: Partial<ServeConfig> = {}): Promise<EmbeddedCluster> {
  const config = testConfig(temporaryFolder(t), overrides)
  const onFatal = (error: Error): void => {
    throw error
  }
  const cluster = await EmbeddedCluster.start({ config, log: pino({ level: 'silent' }), version: '0.0.0', onProgress: () => {}, onFatal })
  t.after(() => cluster.close(0))
  await until(() => cluster.router.ready())
  return cluster
}

/** Resolves once the condition holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(2)
}

/** Nothing runs, waits or is held anywhere in the cluster. */
export function isIdle(cluster: EmbeddedCluster): boolean {
  const [model] = cluster.routerActor.snapshot().models
  const { numRunning, numWaiting, kvUsageRatio } = model!.fleet
  return numRunning === 0 && numWaiting === 0 && kvUsageRatio === 0 && Object.values(cluster.routerActor.sizes()).every((size) => size === 0)
}
