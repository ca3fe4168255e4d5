// SmartSpec: the speculation length with the highest step goodput, tokens emitted per second of a step. Length 0 is an ordinary
// decode and always a candidate. All lengths are scanned: with bucketed step times goodput has more than one peak.

export interface GoodputQuestion {
  /** Sequences that decode, and how many of them have drafts to verify (prompt lookup may find none). */
  readonly numSequences: number
  readonly numDrafting: number
  readonly maxLength: number
  /** Tokens a drafting sequence emits with that length. */
  readonly expectedTokens: (length: number) => number
  /** Whole step with that length: drafting, verification, overhead. */
  readonly stepMs: (length: number) => number
  /** Goodput of length 0 counts this many times: hysteresis against a switch that gains next to nothing. @default 1 */
  readonly plainBias?: number
}

export interface GoodputAnswer {
  readonly length: number
  /** Tokens per second. */
  readonly stepGoodput: number
}

/** The best length in 0..maxLength; the shortest of equals. */
export function goodputLength({ numSequences, numDrafting, maxLength, expectedTokens, stepMs, plainBias = 1 }: GoodputQuestion): GoodputAnswer {
  const goodput = (length: number): number => {
    const tokens = length === 0 ? numSequences : numDrafting * expectedTokens(length) + (numSequences - numDrafting)
    return (tokens / stepMs(length)) * 1000
  }
  let best: GoodputAnswer = { length: 0, stepGoodput: goodput(0) }
  let score = best.stepGoodput * plainBias
  for (let length = 1; length <= maxLength; length += 1) {
    const stepGoodput = goodput(length)
    if (stepGoodput <= score) continue
    best = { length, stepGoodput }
    score = stepGoodput
  }
  return best
}
