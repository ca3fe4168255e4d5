// The `draft` and `draft-news` effects over links to speculators.
import { CANCELLED, DONE, done, failed } from '@rubato/actor'
import type { EffectPort, EffectTable } from '@rubato/actor'
import type { DraftEffect, DraftNewsEffect } from '@rubato/instance'
import type { DraftLinks } from '@rubato/rpc'

/** One ask is out at a time; one that was given up settles at once. */
const ASK_LIMIT = 4
const NEWS_LIMIT = 1024

/** The ports of both kinds. An ask fails with the codes of DraftLinks.ask. */
export function draftEffects(links: DraftLinks): EffectTable {
  const draft: EffectPort<DraftEffect> = {
    limit: ASK_LIMIT,
    perform({ endpoint, ask }, run) {
      const giveUp = links.ask(endpoint, ask, (result) => run.complete(result instanceof Error ? failed(result) : done(result)))
      run.onAbort(() => {
        giveUp()
        run.complete(CANCELLED)
      })
    },
  }
  const news: EffectPort<DraftNewsEffect> = {
    limit: NEWS_LIMIT,
    perform({ endpoint, news: what }, run) {
      links.tell(endpoint, what)
      run.complete(DONE)
    },
  }
  return { draft, 'draft-news': news }
}
