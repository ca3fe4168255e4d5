export { memoryDraft } from './memory-drafts.ts'
export { MemoryEngine, referenceTokens } from './memory-engine.ts'
