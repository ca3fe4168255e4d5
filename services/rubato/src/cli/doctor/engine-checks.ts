// The engine: ONNX Runtime, what it can run on, and whether it reads our memory in place.
import process from 'node:process'
import { ok, problem, reasonOf } from './finding.ts'
import type { Finding } from './finding.ts'

const REINSTALL = 'remove node_modules and run npm start again; ONNX Runtime supports x64 and arm64'
/** Providers of ONNX Runtime that a --device may name one day. */
const DEVICES = ['webgpu', 'cuda'] as const

/** Stops at the first thing that does not load: the rest would only repeat it. */
export async function engineChecks(): Promise<Finding[]> {
  try {
    // Before ONNX Runtime itself: the engine prepares the scope that the library must be loaded in.
    const engine = await import('@rubato/model/engine')
    const { listSupportedBackends, env } = await import('onnxruntime-node')
    const bundled = new Map(listSupportedBackends().map((backend) => [backend.name, backend.bundled]))
    if (!bundled.has('cpu')) return [problem('failed', 'onnxruntime', 'has no cpu provider', REINSTALL)]
    const library = ok('onnxruntime', `${env.versions.node ?? env.versions.common} with the cpu provider`)
    const devices = DEVICES.map((device) => deviceFinding(device, bundled.get(device)))
    return [library, ...devices, await zeroCopy(engine.assertZeroCopyInputs), kernelFinding(engine.cpuKernelClass(), engine.cpuModel())]
  } catch (error) {
    return [problem('failed', 'onnxruntime', `does not load: ${reasonOf(error)}`, REINSTALL)]
  }
}

function deviceFinding(device: string, bundled: boolean | undefined): Finding {
  const library = bundled === true ? 'ONNX Runtime brings it along' : 'this ONNX Runtime build comes without it'
  return { name: `device ${device}`, status: 'absent', detail: `${library}; --device ${device} is not built yet`, fix: 'use --device cpu' }
}

/** The test runs a small model over 256 MiB of shared memory and times it. */
async function zeroCopy(selfTest: () => Promise<void>): Promise<Finding> {
  try {
    await selfTest()
    return ok('zero-copy inputs', 'ONNX Runtime reads shared memory in place')
  } catch (error) {
    return problem('failed', 'zero-copy inputs', reasonOf(error), 'use the onnxruntime-node version of package-lock.json: npm install')
  }
}

function kernelFinding(kernelClass: string, model: string): Finding {
  const name = 'cpu kernels'
  if (kernelClass.includes('-') || process.arch !== 'x64') return ok(name, `${kernelClass} (${model})`)
  return problem('warning', name, `${kernelClass}: this CPU lacks AVX2 (${model})`, 'expect slow steps; a CPU with AVX2 or AVX-512 serves several times faster')
}
