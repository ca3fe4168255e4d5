// Trims an installed tree to what one platform runs, and marks it as installed for tools/run.js. Part of the image build.
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
const platform = `${process.platform}-${process.arch}`
const modules = path.join(root, 'node_modules')

/** ONNX Runtime ships every platform's libraries in one package. */
function keepOwnRuntime() {
  const [napi] = readdirSync(path.join(modules, 'onnxruntime-node/bin'))
  const binaries = path.join(modules, 'onnxruntime-node/bin', napi)
  for (const system of readdirSync(binaries)) {
    if (system !== process.platform) rmSync(path.join(binaries, system), { recursive: true })
    else for (const arch of readdirSync(path.join(binaries, system))) if (arch !== process.arch) rmSync(path.join(binaries, system, arch), { recursive: true })
  }
}

/** The locked Node becomes the image's `node`; its package (headers, documents) goes. */
function moveNode() {
  const bundled = path.join(modules, `node-${platform}`)
  mkdirSync(path.join(root, '.image'), { recursive: true })
  cpSync(existsSync(bundled) ? path.join(bundled, 'bin/node') : process.execPath, path.join(root, '.image/node'))
  for (const entry of readdirSync(modules)) if (/^node-(linux|darwin|win32)-/.test(entry)) rmSync(path.join(modules, entry), { recursive: true })
}

keepOwnRuntime()
moveNode()
writeFileSync(path.join(modules, '.rubato-installed'), createHash('sha256').update(readFileSync(path.join(root, 'package-lock.json'))).digest('hex'))
