// Objects that are sent often and small: their keys are agreed on beforehand, in the order in which the sender builds them.
// An object with other keys, or the same in another order, is sent with its keys: longer, never wrong.
//
// 1. Frozen within a protocol major: what is not in the table of a peer of another minor could not be read there.

export const WIRE_STRUCTURES: readonly (readonly string[])[] = [
  // Instance to router, once per step: TokensMessage and its parts (libs/instance/src/messages.ts).
  ['kind', 'instanceId', 'incarnation', 'runs'],
  ['requestId', 'epoch', 'sequence', 'firstIndex', 'tokenIds', 'logprobs', 'finish'],
  ['requestId', 'epoch', 'sequence', 'firstIndex', 'tokenIds', 'logprobs', 'start', 'finish'],
  ['recovery', 'hop'],
  ['queueMs', 'prefillMs', 'cachedTokens'],
  ['reason', 'stopTokenId', 'timing'],
  ['queueMs', 'prefillMs', 'cachedTokens', 'preemptions', 'acceptedDraftTokens', 'migrations'],
  ['tokenId', 'logprob', 'rank', 'top'],
  ['tokenId', 'logprob'],
  // Router to instance, every 100 ms: AckMessage.
  ['kind', 'acks'],
  ['requestId', 'epoch', 'sequence', 'nextIndex'],
  // Between instances, once per cell: OfferMessage.
  ['kind', 'requestId', 'epoch', 'sequence', 'firstBlock', 'numBlocks', 'token'],
]
