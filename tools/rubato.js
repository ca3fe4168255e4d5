#!/usr/bin/env node
// `npx rubato …`: the same bootstrap as `npm start`, with any command.
import './run.js'
