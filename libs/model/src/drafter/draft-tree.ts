// What a proposer offers for one sequence: a tree of candidate tokens below its last token, best first. Structured-clonable.

export interface DraftTree {
  readonly tokenIds: readonly number[]
  /** Index of the parent node; -1 is the sequence's last token. Parents come before children. */
  readonly parents: readonly number[]
  /** Estimated probability that the target accepts the whole path to the node; non-increasing. */
  readonly pathProbability: Float64Array
  /** Place among its siblings in the draft's own order, and gap of perturbed logits: what the estimate was made from. */
  readonly ranks: readonly number[]
  readonly gaps: readonly number[]
}
