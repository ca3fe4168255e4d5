// The sending side of the benchmark, a process of its own: offers blocks when it is told to, over the real transport, and
// serves plain copies. Runs as a child with an IPC channel.
import process from 'node:process'
import { createKvTransport } from '@rubato/rpc'
import { servePlain } from './plain-copy.ts'
import type { FromServing, ToServing } from './serving-messages.ts'

const send = (message: FromServing): void => void process.send?.(message)

async function serve(maxBytes: number): Promise<void> {
  const blocks = Buffer.alloc(maxBytes)
  for (let at = 0; at + 4 <= maxBytes; at += 4) blocks.writeUInt32LE(Math.imul(at + 1, 0x9e3779b1) >>> 0, at)
  const plain = await servePlain(blocks)
  const transport = await createKvTransport({ host: '127.0.0.1', port: 0, advertiseAddress: null, tls: null })
  const never = new AbortController().signal
  process.on('message', (message: ToServing) => {
    const read = (): Promise<Uint8Array> => Promise.resolve(blocks.subarray(0, message.numBlocks * message.blockBytes))
    const { token } = message
    transport.offer({ ...message, read }, never).catch((error: Error) => send({ kind: 'failed', token, message: error.message }))
    send({ kind: 'offered', token })
  })
  send({ kind: 'ready', kvAddress: transport.kvAddress, plainPort: plain.port })
}

process.on('disconnect', () => process.exit(0))
await serve(Number(process.argv[2]))
