// Several instance actors in one virtual time, with the links between them: messages that can be lost, doubled and late, and
// KV transfers that can fail.
//
// 1. Messages from one address to another arrive in the order sent.
// 2. A token opens one transfer, once; a pull gives what the peer's engine holds at that moment.
// 3. Nothing happens by itself: the test delivers, completes and lets time pass.
import type { Address, EffectId, Outcome } from '@rubato/actor'
import type { InstanceMessage, InstancePayload, KvPulled } from '@rubato/instance'
import { instanceFixture } from './instance-fixture.ts'
import type { InstanceFixtureOptions } from './instance-fixture.ts'
import type { InstanceDriver } from './instance-driver.ts'

export interface Mail {
  readonly from: Address
  readonly to: Address
  readonly payload: InstancePayload | InstanceMessage
  readonly atMs: number
}

export interface NetworkOptions {
  /** When each copy of a message arrives, in milliseconds from now; none: it is lost. Default: one, at once. */
  readonly delaysMs?: (mail: Omit<Mail, 'atMs'>) => readonly number[]
  /** Takes what is sent to any address that is no instance. */
  readonly onOther?: (mail: Mail) => void
}

export type PullFate = 'done' | 'failed' | 'corrupt'

export class InstanceNetwork {
  nowMs = 0
  readonly instances = new Map<Address, InstanceDriver>()
  readonly #options: NetworkOptions
  #mail: Mail[] = []
  readonly #lastAtMs = new Map<string, number>()

  constructor(options: NetworkOptions = {}) {
    this.#options = options
  }

  /** A started instance `instance/<id>` that ships KV, at the address `kv/<id>`. */
  add(id: string, options: InstanceFixtureOptions = {}): InstanceDriver {
    const address = `instance/${id}`
    const kvShipping = { kvAddress: `kv/${id}`, signOffer: (text: string) => `${id}:${text}` }
    const driver = instanceFixture({ instanceId: id, address, kvShipping, ...options })
    driver.nowMs = this.nowMs
    driver.onSend = (to, payload) => this.send(address, to, payload)
    this.instances.set(address, driver)
    return driver
  }

  /** The instance is no more: what it was sent is lost, its transfers break off when they are completed. */
  remove(address: Address): void {
    this.instances.delete(address)
  }

  send(from: Address, to: Address, payload: Mail['payload']): void {
    const mail = { from, to, payload }
    for (const delayMs of this.#options.delaysMs?.(mail) ?? [0]) {
      const pair = `${from} ${to}`
      const atMs = Math.max(this.nowMs + delayMs, this.#lastAtMs.get(pair) ?? 0)
      this.#lastAtMs.set(pair, atMs)
      this.#mail.push({ ...mail, atMs })
    }
  }

  /** Messages on their way. */
  get numMail(): number {
    return this.#mail.length
  }

  /** Delivers everything that is due, and what that sends without delay. */
  deliver(): void {
    for (let next = this.#takeDue(); next !== undefined; next = this.#takeDue()) {
      const driver = this.instances.get(next.to)
      if (driver !== undefined) driver.deliver(next.payload as InstanceMessage, next.from)
      else if (!next.to.startsWith('instance/')) this.#options.onOther?.(next)
    }
  }

  /** Ends a pull, and the serve that it reached. */
  completePull(driver: InstanceDriver, effectId: EffectId, fate: PullFate = 'done'): void {
    const pull = driver.pulls.get(effectId)
    if (pull === undefined) throw new Error(`there is no pull ${effectId}`)
    const peer = this.instances.get(pull.kvAddress.replace(/^kv/, 'instance'))
    const served = [...(peer?.serves ?? [])].find(([, { token }]) => token === pull.token)
    if (peer === undefined || served === undefined) return driver.completeTransfer(effectId, failure('kv_refused'))
    const [serveId, { blockIds }] = served
    if (blockIds.length !== pull.numBlocks) throw new Error(`${pull.numBlocks} blocks are pulled, ${blockIds.length} are served`)
    const exported = peer.engine.apply({ kind: 'export-blocks', blockIds })
    peer.completeTransfer(serveId, fate === 'failed' ? failure('kv_link_failed') : { kind: 'done', value: null })
    if (fate !== 'done' || exported.kind !== 'export-blocks') return driver.completeTransfer(effectId, failure(fate === 'corrupt' ? 'kv_corrupt' : 'kv_link_failed'))
    const value: KvPulled = { bytes: exported.bytes, transferMs: 1, bytesPerSec: 1e9 }
    driver.completeTransfer(effectId, { kind: 'done', value })
  }

  /** Nobody came for an offer. */
  expireServe(driver: InstanceDriver, effectId: EffectId): void {
    driver.completeTransfer(effectId, failure('kv_not_pulled'))
  }

  /** Lets time pass everywhere, firing timers. */
  advance(durationMs: number): void {
    this.nowMs += durationMs
    for (const driver of this.instances.values()) driver.advance(this.nowMs - driver.nowMs)
  }

  /** One round without faults: messages, transfers, installs and steps, each as far as it goes at this moment. */
  round(): void {
    this.deliver()
    for (const driver of this.instances.values()) {
      for (const effectId of driver.pulls.keys()) this.completePull(driver, effectId)
      if (driver.command !== null) driver.completeStep(0)
      else while (driver.numInstalls > 0 && driver.command === null) driver.completeInstall()
    }
    this.deliver()
  }

  #takeDue(): Mail | undefined {
    let first = -1
    for (const [place, { atMs }] of this.#mail.entries()) if (atMs <= this.nowMs && (first < 0 || atMs < this.#mail[first]!.atMs)) first = place
    return first < 0 ? undefined : this.#mail.splice(first, 1)[0]
  }
}

function failure(code: string): Outcome {
  return { kind: 'failed', error: { code, message: code, retryable: true } }
}
