// The text of one choice. What a client sees of a choice depends on its tokens alone, not on how they fall into steps: so
// the text of any span of tokens can be had again by reading the tokens before it and discarding theirs.
//
// 1. With stop strings tokens are read one by one, and those after the match count for nothing.
// 2. The id that ended a choice (end of sequence or stop_token_ids) is not in the text: as vLLM.
// 3. Text held back until the end belongs to the last token.
import type { TokenRun } from '@rubato/instance'
import { newTextStreams } from './state/request.ts'
import type { Choice, LiveRequest } from './state/request.ts'

export interface Taken {
  text: string
  /** Tokens that count; fewer than given when a stop string matched before the last. */
  numTokens: number
  stopped: string | null
}

/** Tokens of a choice from firstIndex on, and how they ended it. */
export type ReadableRun = Pick<TokenRun, 'firstIndex' | 'tokenIds' | 'finish'>

const oneToken: number[] = [0]

/** Reads the next tokens of the choice; its streams move on. */
export function readText(choice: Pick<Choice, 'detokenizer' | 'stopMatcher'>, run: ReadableRun, minTokens: number): Taken {
  const { detokenizer, stopMatcher } = choice
  const endsByToken = run.finish !== null && run.finish.reason === 'stop' && run.finish.stopTokenId !== null
  const numText = endsByToken ? run.tokenIds.length - 1 : run.tokenIds.length
  const taken: Taken = { text: '', numTokens: run.tokenIds.length, stopped: null }
  if (stopMatcher === null) {
    taken.text = detokenizer.push(numText === run.tokenIds.length ? run.tokenIds : run.tokenIds.slice(0, numText))
    if (run.finish !== null) taken.text += detokenizer.flush()
    return taken
  }
  for (let index = 0; index < numText && taken.stopped === null; index += 1) {
    oneToken[0] = run.tokenIds[index]!
    const text = detokenizer.push(oneToken)
    // As vLLM: text of the first min_tokens tokens is not searched.
    if (run.firstIndex + index < minTokens) taken.text += text
    else if (text !== '') matchStops(stopMatcher, text, taken)
    if (taken.stopped !== null) taken.numTokens = index + 1
  }
  if (run.finish === null || taken.stopped !== null) return taken
  const tail = detokenizer.flush()
  if (tail !== '') matchStops(stopMatcher, tail, taken)
  if (taken.stopped === null) taken.text += stopMatcher.flush()
  return taken
}

function matchStops(stopMatcher: NonNullable<Choice['stopMatcher']>, text: string, taken: Taken): void {
  const { emit, stopped } = stopMatcher.push(text)
  taken.text += emit
  taken.stopped = stopped
}

/** Reads the choice's tokens anew with fresh streams, which become its own; the text of those from `fromIndex` on. O(tokens). */
export function rereadText(record: LiveRequest, choice: Choice, fromIndex: number): string {
  Object.assign(choice, newTextStreams(record))
  const { tokenIds, finish } = choice
  const read = (firstIndex: number, until: number): string => {
    const run = { firstIndex, tokenIds: tokenIds.slice(firstIndex, until), finish: until === tokenIds.length ? finish : null }
    return readText(choice, run, record.sampling!.minTokens).text
  }
  const known = Math.min(fromIndex, tokenIds.length)
  if (known > 0) read(0, known)
  return known === tokenIds.length ? '' : read(known, tokenIds.length)
}

/** What `echo` puts in front: the prompt as given, or as its tokens read. */
export function promptText({ request, model, promptIds }: LiveRequest): string {
  const { input } = request
  if (input.kind === 'text') return input.text
  const detokenizer = model.text.detokenizer([])
  return detokenizer.push(promptIds) + detokenizer.flush()
}
