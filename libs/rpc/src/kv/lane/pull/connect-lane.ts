// Opens lanes to a sender: over the network, or over a socket of this machine that an earlier lane told of.
import { connect } from 'node:net'
import type { Socket, TcpSocketConnectOpts } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { KvTls } from '../../kv-tls.ts'
import { LANE_PREAMBLE, encodeLaneHeader } from '../lane-message.ts'
import type { LaneHeader } from '../lane-message.ts'
import { LaneReader } from '../lane-reader.ts'
import type { LaneListener } from '../lane-reader.ts'
import type { LocalDoor } from '../local-door.ts'

export type LaneTarget =
  | { readonly kind: 'network'; readonly host: string; readonly port: number; readonly tls: KvTls | null }
  | { readonly kind: 'local'; readonly door: LocalDoor }

export interface OpenLane {
  readonly socket: Socket
  /** What the welcome brought. */
  readonly welcome: Uint8Array
  readonly roundTripMs: number
  /** Nothing below the lane checks what it carries. */
  readonly isSummed: boolean
}

/** Who answers does not speak this version of lanes, or cannot prove who it is: gRPC may still do. */
export class NoLanes extends Error {}

export interface ConnectOptions {
  /** Ends the lane, also once it is open. */
  readonly signal: AbortSignal
  /** Until it was welcomed. */
  readonly timeoutMs: number
}

const MAX_WELCOME_BYTES = 1024

/** `host:port` as kvAddress says it. */
export function hostAndPort(kvAddress: string): { readonly host: string; readonly port: number } {
  const at = kvAddress.lastIndexOf(':')
  return { host: kvAddress.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(kvAddress.slice(at + 1)) }
}

/**
 * Resolves once the lane was welcomed; from then on its messages go to the listener, and whoever gets it listens for `close`.
 * Rejects with NoLanes, or with what connecting failed with.
 */
export function connectLane(target: LaneTarget, listener: LaneListener, { signal, timeoutMs }: ConnectOptions): Promise<OpenLane> {
  const { promise, resolve, reject } = Promise.withResolvers<OpenLane>()
  const isSummed = target.kind === 'network' && target.tls === null
  let askedMs = 0
  let hasConnected = false
  let isWelcome = false
  const greeted = (header: LaneHeader, welcome: Uint8Array): void => {
    if (header.kind !== 'welcome') throw new Error(`a lane began with '${header.kind}'`)
    isWelcome = true
    clearTimeout(timer)
    resolve({ socket, welcome, isSummed, roundTripMs: performance.now() - askedMs })
  }
  const reader = new LaneReader({
    placeFor: (header) => (isWelcome ? listener.placeFor(header) : welcomePlace(header)),
    onMessage: (header, payload) => (isWelcome ? listener.onMessage(header, payload) : greeted(header, payload)),
  })
  const take = (advance: () => void): void => {
    try {
      advance()
    } catch (error) {
      socket.destroy(error as Error)
    }
  }
  const onread = {
    buffer: () => reader.space,
    callback: (numBytes: number) => {
      take(() => reader.advance(numBytes))
      return true
    },
  }
  const onReady = (): void => {
    hasConnected = true
    askedMs = performance.now()
    const ticket = target.kind === 'local' ? target.door.ticket : new Uint8Array(0)
    socket.write(Buffer.concat([encodeLaneHeader('hello', 0, { payloadBytes: ticket.byteLength }), ticket]))
  }
  const socket = open(target, { onread, onReady, onData: (bytes) => take(() => reader.feed(bytes)), onConnect: () => (hasConnected = true) })
  const timer = setTimeout(() => socket.destroy(new Error('no welcome came')), timeoutMs)
  const onAbort = (): void => void socket.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  let cause: Error | null = null
  socket.on('error', (error: Error) => (cause = error))
  socket.once('close', () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    const reason = cause?.message ?? 'the connection was closed'
    reject(hasConnected ? new NoLanes(reason, { cause }) : (cause ?? new Error(reason)))
  })
  return promise
}

interface SocketEvents {
  readonly onread: { readonly buffer: () => Uint8Array; readonly callback: (numBytes: number) => boolean }
  /** The hello may be said. */
  readonly onReady: () => void
  readonly onData: (bytes: Buffer) => void
  readonly onConnect: () => void
}

function open(target: LaneTarget, { onread, onReady, onData, onConnect }: SocketEvents): Socket {
  if (target.kind === 'local') return connect({ path: target.door.path, onread } as unknown as TcpSocketConnectOpts, onReady)
  const { host, port, tls } = target
  const say = (socket: Socket): boolean => socket.write(LANE_PREAMBLE)
  if (tls === null) {
    const socket: Socket = connect({ host, port, noDelay: true, onread }, () => {
      say(socket)
      onReady()
    })
    return socket
  }
  const under = connect({ host, port, noDelay: true }, () => {
    onConnect()
    say(under)
  })
  const socket = connectTls({ socket: under, host, ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }), cert: tls.cert, key: tls.key, ca: tls.ca }, onReady)
  under.on('error', (error) => socket.destroy(error))
  return socket.on('data', onData)
}

function welcomePlace({ payloadBytes }: LaneHeader): Uint8Array {
  if (payloadBytes > MAX_WELCOME_BYTES) throw new Error(`a welcome of ${payloadBytes} bytes`)
  return new Uint8Array(payloadBytes)
}
