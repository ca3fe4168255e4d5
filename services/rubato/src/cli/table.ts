// Plain tables for the terminal: no borders, no colours, so that they also read well in a file.
import Table from 'cli-table3'

const NO_BORDERS = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
}

export interface TableOptions {
  readonly head?: readonly string[]
  /** Widest text of the last column; longer text is wrapped. */
  readonly lastColumnChars?: number
}

/** Rows of equal length, columns aligned. */
export function renderTable(rows: readonly (readonly string[])[], { head, lastColumnChars = 100 }: TableOptions = {}): string {
  const table = new Table({ chars: NO_BORDERS, style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] }, ...(head === undefined ? {} : { head: [...head] }) })
  for (const row of rows) table.push([...row.slice(0, -1), wrap(row.at(-1) ?? '', lastColumnChars)])
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

function wrap(text: string, width: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join('\n')
}
