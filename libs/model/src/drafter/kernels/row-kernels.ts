// Kernels over one row of floats: norm, softmax and the gate of the feed-forward part. Lengths are multiples of 4.
import { FunctionWriter } from './assembler.ts'
import type { Local } from './assembler.ts'

/** Past these exponents a float is zero or infinite. */
const LEAST_EXPONENT = -87
const MOST_EXPONENT = 88
/** ln 2 in two parts, so that the remainder is exact. */
const LN2 = [0.693359375, -2.12194440e-4] as const
/** exp(r) = 1 + r + r^2 * polynomial(r) for |r| <= ln(2) / 2, highest power first (Cephes expf). */
const POLYNOMIAL = [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1] as const

/** Replaces the vector in `x` by its exponential. */
function exponential(f: FunctionWriter, x: Local, [power, sum]: readonly Local[]): void {
  f.get(x).floats(LEAST_EXPONENT).vector('max').floats(MOST_EXPONENT).vector('min').set(x)
  f.get(x).floats(Math.LOG2E).vector('mul').vector('nearest').set(power!)
  for (const part of LN2) f.get(power!).floats(-part).get(x).vector('madd').set(x)
  f.floats(POLYNOMIAL[0]).set(sum!)
  for (const coefficient of POLYNOMIAL.slice(1)) f.get(sum!, x).floats(coefficient).vector('madd').set(sum!)
  f.get(sum!).get(x, x).vector('mul').get(x).floats(1).vector('add').vector('madd')
  f.get(power!).vector('toI32').ints(127).vector('addI32').int(23).vector('shiftLeft').vector('mul').set(x)
}

/** Folds the lanes of a vector into one float on the stack. */
function foldLanes(f: FunctionWriter, lanes: Local, fold: () => void): void {
  for (let lane = 0; lane < 4; lane += 1) {
    f.get(lanes).lane(lane)
    if (lane > 0) fold()
  }
}

/** (x, weight, out, length, 1 / width): RMS norm of a row that has zeros behind its `width`. */
export function rmsNorm(epsilon: number): FunctionWriter {
  const f = new FunctionWriter(['i32', 'i32', 'i32', 'i32', 'f32'])
  const [x, weight, out, length, inverseWidth] = [0, 1, 2, 3, 4]
  const [read, left] = f.locals('i32', 2) as [Local, Local]
  const [part, sum] = f.locals('v128', 2) as [Local, Local]
  f.get(x).set(read).get(length).set(left)
  f.countDown(left, 4, () => f.load(read).set(part).get(part, part, sum).vector('madd').set(sum).advance(read, 16))
  f.float(1)
  foldLanes(f, sum, () => f.scalar('add'))
  f.get(inverseWidth).scalar('mul').float(epsilon).scalar('add').scalar('sqrt').scalar('div').vector('splat').set(sum)
  f.countDown(length, 4, () => {
    f.store(out, 0, () => f.load(x).get(sum).vector('mul').load(weight).vector('mul'))
    f.advance(x, 16).advance(weight, 16).advance(out, 16)
  })
  return f
}

/** (scores, length): softmax in place. What lies behind the last score is a very low number. */
export function softmax(): FunctionWriter {
  const f = new FunctionWriter(['i32', 'i32'])
  const [scores, length] = [0, 1]
  const [at, left] = f.locals('i32', 2) as [Local, Local]
  const [x, most, sum, ...temporaries] = f.locals('v128', 5) as [Local, Local, Local, ...Local[]]
  const pass = (body: () => void): void => {
    f.get(scores).set(at).get(length).set(left)
    f.countDown(left, 4, () => {
      body()
      f.advance(at, 16)
    })
  }
  f.load(scores).set(most)
  pass(() => f.load(at).get(most).vector('max').set(most))
  foldLanes(f, most, () => f.scalar('max'))
  f.vector('splat').set(most)
  pass(() => {
    f.load(at).get(most).vector('sub').set(x)
    exponential(f, x, temporaries)
    f.store(at, 0, () => f.get(x)).get(x, sum).vector('add').set(sum)
  })
  f.float(1)
  foldLanes(f, sum, () => f.scalar('add'))
  f.scalar('div').vector('splat').set(sum)
  pass(() => f.store(at, 0, () => f.load(at).get(sum).vector('mul')))
  return f
}

/** (gate, up, out, length): out = up * gate / (1 + exp(-gate)). */
export function gatedUnit(): FunctionWriter {
  const f = new FunctionWriter(['i32', 'i32', 'i32', 'i32'])
  const [gate, up, out, length] = [0, 1, 2, 3]
  const [x, ...temporaries] = f.locals('v128', 3) as [Local, ...Local[]]
  f.countDown(length, 4, () => {
    f.load(gate).vector('neg').set(x)
    exponential(f, x, temporaries)
    f.store(out, 0, () => f.load(gate).load(up).vector('mul').get(x).floats(1).vector('add').vector('div'))
    f.advance(gate, 16).advance(up, 16).advance(out, 16)
  })
  return f
}
