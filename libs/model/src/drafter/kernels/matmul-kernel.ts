// The product that nearly all of a small model's time goes into: rows of activations times a panel of 16 weight columns.
//
// A panel is stored row after row of 16 floats, so that it is read once from start to end. One row of activations keeps two
// sums per column, two rows one each: eight sums in flight are what hides the latency of a multiply-add.
import { FunctionWriter } from './assembler.ts'
import type { Local } from './assembler.ts'

/** Columns of a panel; the rows of a product start on multiples of as many floats. */
export const PANEL_COLUMNS = 16
/** Rows of weights per turn of the loop: the inner size of a product is a multiple of it. */
export const INNER_UNROLL = 4

const PANEL_VECTORS = PANEL_COLUMNS / 4

/**
 * (x, panel, start, out, inner, xStride, startStride, outStride): for each row, out = start + x * panel. All but `inner` are
 * in bytes; `start` may be `out`.
 */
export function panelProduct(numRows: 1 | 2): FunctionWriter {
  const f = new FunctionWriter(['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'])
  const [x, panel, start, out, inner, xStride, startStride, outStride] = [0, 1, 2, 3, 4, 5, 6, 7]
  const sets = 2 / numRows
  const sums = Array.from({ length: sets }, () => Array.from({ length: numRows }, () => f.locals('v128', PANEL_VECTORS)))
  const rows: readonly Local[] = numRows === 1 ? [x] : [x, f.local('i32')]
  const factors = f.locals('v128', numRows)
  const weights = f.local('v128')
  if (numRows === 2) f.get(x, xStride).scalar('addI32').set(rows[1]!)
  for (const row of sums[0]!) {
    for (const [index, sum] of row.entries()) f.load(start, 16 * index).set(sum)
    f.get(start, startStride).scalar('addI32').set(start)
  }
  f.countDown(inner, INNER_UNROLL, () => {
    for (let turn = 0; turn < INNER_UNROLL; turn += 1) {
      for (const [index, row] of rows.entries()) f.loadSplat(row, 4 * turn).set(factors[index]!)
      for (let index = 0; index < PANEL_VECTORS; index += 1) {
        f.load(panel, 16 * (turn * PANEL_VECTORS + index)).set(weights)
        for (const [row, factor] of factors.entries()) {
          const sum = sums[turn % sets]![row]![index]!
          f.get(factor, weights, sum).vector('madd').set(sum)
        }
      }
    }
    for (const row of rows) f.advance(row, 4 * INNER_UNROLL)
    f.advance(panel, 4 * INNER_UNROLL * PANEL_COLUMNS)
  })
  for (let row = 0; row < numRows; row += 1) {
    for (let index = 0; index < PANEL_VECTORS; index += 1) {
      f.store(out, 16 * index, () => {
        f.get(sums[0]![row]![index]!)
        if (sets === 2) f.get(sums[1]![row]![index]!).vector('add')
      })
    }
    f.get(out, outStride).scalar('addI32').set(out)
  }
  return f
}
