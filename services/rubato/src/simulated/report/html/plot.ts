// One chart as SVG text, drawn by Apache ECharts without a browser.
import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components'
import * as echarts from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'

echarts.use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])

export interface Line {
  readonly name: string
  /** null: a gap in the line. */
  readonly points: readonly (readonly [x: number, y: number | null])[]
}

export interface Plot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly lines: readonly Line[]
}

export interface Axis {
  readonly name: string
  /** @default value */
  readonly type?: 'value' | 'log'
  readonly max?: number
}

const WIDTH_PX = 560
const HEIGHT_PX = 340
const FONT = 'system-ui, sans-serif'

/** A logarithmic axis has no zero: a curve over it begins to its right. */
function drawn({ points }: Line, isLog: boolean): (readonly [number, number | null])[] {
  return isLog ? points.filter(([x]) => x > 0) : [...points]
}

/** `<svg ...>` of fixed size. */
export function renderPlot({ title, x, y, lines }: Plot): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH_PX, height: HEIGHT_PX })
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: FONT },
      title: { text: title, left: 'center', top: 0, textStyle: { fontSize: 14 } },
      legend: { type: 'plain', bottom: 0, itemHeight: 8, textStyle: { fontSize: 11 } },
      grid: { left: 60, right: 24, top: 56, bottom: 74 },
      xAxis: { type: x.type ?? 'value', name: x.name, nameLocation: 'middle', nameGap: 26, ...(x.max === undefined ? {} : { max: x.max }), scale: x.type === 'log', minorSplitLine: { show: false } },
      yAxis: { type: y.type ?? 'value', name: y.name, nameTextStyle: { align: 'left' as const }, ...(y.max === undefined ? {} : { max: y.max }) },
      series: lines.map((line) => ({ type: 'line' as const, name: line.name, data: drawn(line, x.type === 'log').map((point) => [...point]), showSymbol: line.points.length < 12, lineStyle: { width: 1.5 }, silent: true })),
    })
    return chart.renderToSVGString()
  } finally {
    chart.dispose()
  }
}
