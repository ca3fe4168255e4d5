// Whether the server can be reached now, and who wants to know.

export type ConnectionStatus = 'connected' | 'disconnected'

export class ConnectionState {
  #status: ConnectionStatus = 'connected'
  readonly #listeners = new Set<(status: ConnectionStatus) => void>()

  get isConnected(): boolean {
    return this.#status === 'connected'
  }

  /** Tells every change, a reconnect without a noticed disconnect too. Returns the end of it. */
  subscribe(listener: (status: ConnectionStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  set(status: ConnectionStatus): void {
    if (status === 'disconnected' && !this.isConnected) return
    this.#status = status
    for (const listener of this.#listeners) listener(status)
  }
}
