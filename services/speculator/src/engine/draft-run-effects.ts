// The `draft-run` effect over a live draft model.
import type { EffectTable } from '@rubato/actor'
import { asyncPort } from '@rubato/runtime'
import type { DraftRunEffect } from '../actor/effects.ts'
import type { DraftModelHost } from './draft-engine.ts'

/** Completes with its DraftRun, or fails when the draft model died with it. */
export function draftRunEffects(engine: Pick<DraftModelHost, 'run'>): EffectTable {
  return { 'draft-run': asyncPort<DraftRunEffect>({ limit: 1, perform: ({ command }) => engine.run(command) }) }
}
