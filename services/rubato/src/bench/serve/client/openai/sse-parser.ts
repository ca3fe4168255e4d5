// Server-sent events from bytes that may be split anywhere, also inside a character. Lines end with LF or CRLF.
import { StringDecoder } from 'node:string_decoder'

export class SseParser {
  readonly #decoder = new StringDecoder('utf8')
  readonly #onData: (data: string) => void
  /** The line whose end has not arrived. */
  #rest = ''
  /** Data lines of the event under way; null: none yet. */
  #data: string | null = null

  /** `onData` gets the data of each complete event; event names, ids and comments are of no use here. */
  constructor(onData: (data: string) => void) {
    this.#onData = onData
  }

  push(bytes: Buffer): void {
    const text = this.#rest + this.#decoder.write(bytes)
    let from = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      this.#line(text.slice(from, text[end - 1] === '\r' && end > from ? end - 1 : end))
      from = end + 1
    }
    this.#rest = text.slice(from)
  }

  #line(line: string): void {
    if (line === '') {
      const data = this.#data
      this.#data = null
      if (data !== null) this.#onData(data)
      return
    }
    if (line !== 'data' && !line.startsWith('data:')) return
    const value = line.slice(line.startsWith('data: ') ? 6 : 5)
    this.#data = this.#data === null ? value : `${this.#data}\n${value}`
  }
}
