// A router as a member of a cluster: its actor under a kept name, told of instances that come and go.
import { PROTOCOL_VERSION, speaksSameProtocol } from '@rubato/bus'
import type { MemberEvent, NatsLink } from '@rubato/bus'
import { KeptName } from '@rubato/runtime'
import type { MemberDirectory, ProcessLog } from '@rubato/runtime'
import type { RouterService } from './router-service.ts'

export interface RouterMemberParts {
  readonly name: string
  readonly service: RouterService
  readonly fingerprint: string
  readonly nats: Pick<NatsLink, 'membership' | 'onStatus'>
  readonly directory: MemberDirectory
  readonly log: ProcessLog
  /** The process should end. */
  readonly onFatal: (error: Error) => void
}

export class RouterMember {
  readonly #parts: RouterMemberParts
  readonly #ends: readonly (() => void)[]
  #name: KeptName | null = null

  private constructor(parts: RouterMemberParts) {
    this.#parts = parts
    this.#ends = [
      parts.directory.subscribe((event) => this.#take(event)),
      // What was sent meanwhile is lost: who is there, and how busy, is asked again.
      parts.nats.onStatus((status) => {
        if (status === 'connected') this.#greetAll()
      }),
    ]
  }

  /** Joins the cluster and serves. Rejects as Membership.join does. */
  static async join(parts: RouterMemberParts): Promise<RouterMember> {
    const member = new RouterMember(parts)
    const { name, service, nats, log, onFatal } = parts
    try {
      member.#name = await KeptName.take({
        membership: nats.membership, log, onFatal,
        member: { kind: 'router', name, protocol: PROTOCOL_VERSION, modelFingerprint: null },
        onHeld: ({ address }) => {
          service.serveAs(address)
          member.#greetAll()
        },
        onLost: () => service.suspend(),
      })
    } catch (error) {
      member.#endAll()
      throw error
    }
    return member
  }

  /** Gives the name back. Idempotent. */
  async leave(): Promise<void> {
    this.#endAll()
    await this.#name?.leave()
  }

  #endAll(): void {
    for (const end of this.#ends) end()
  }

  #greetAll(): void {
    for (const { address } of this.#parts.directory.instances()) this.#parts.service.tell({ kind: 'member-joined', address })
  }

  #take(event: MemberEvent): void {
    const { kind, member } = event
    const { service, fingerprint, log } = this.#parts
    if (member.kind === 'router') {
      // Ids that a router left behind on instances are free again.
      if (kind === 'gone') service.tell({ kind: 'member-lost', address: member.address })
      return
    }
    if (member.kind !== 'instance') return
    const fields = { instance: member.name, address: member.address }
    if (!speaksSameProtocol(member.protocol)) {
      if (kind === 'joined') log.warn({ ...fields, protocol: member.protocol, ours: PROTOCOL_VERSION }, 'an instance joined that speaks another protocol: it gets no requests from here')
      return
    }
    if (kind === 'gone') log.info({ ...fields, reason: event.reason }, 'instance gone')
    else if (member.modelFingerprint === fingerprint) log.info(fields, 'instance joined')
    else log.warn({ ...fields, fingerprint: member.modelFingerprint, served: fingerprint }, MISFIT)
    service.tell({ kind: kind === 'joined' ? 'member-joined' : 'member-lost', address: member.address })
  }
}

const MISFIT =
  'an instance joined whose model this router does not serve: it gets no requests from here. Model, --quantization, --chat-template, --block-size, ' +
  '--prefill-cell-tokens and the class of CPU must be the same (a router that runs on another class: --instance-cpu)'
