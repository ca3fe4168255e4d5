export { runPrefill } from './main.ts'
