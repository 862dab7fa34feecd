// A DynamoDB for tests: dynalite, and in front of it what dynalite lacks:
//
//   - signatures are checked, by another implementation of them (aws4)
//   - TransactWriteItems, TransactionCanceledException, ClientRequestToken; UpdateTimeToLive
//   - one request after the other, so that an item and its local indexes change at once
//   - faults, which a test asks for: POST /faults with {"throttle": 0.3, "unprocessed": 0.5,
//     "delay_ms": 100, "answer": "...", "skew_s": 3600, "denied": ["PutItem"], "lose": 0.1}
//
//   node dynamodb.js PORT [FOLDER]       without a folder everything is in memory
//
// The key that it knows: AKIDTEST with the secret "right".
'use strict'

const http = require('node:http')
const { Readable } = require('node:stream')
const aws4 = require('aws4')
const db = require('dynalite/db')

const KEYS = { AKIDTEST: 'right', AKIDTOKEN: 'right' }
const TOKENS = { AKIDTOKEN: 'a/session+token==' }
const DONE_KEPT_MS = 600000

let store
const create = db.create
db.create = (options) => (store = create(options)) // dynalite keeps it to itself
const dynalite = require('dynalite')
const options = { createTableMs: 0, deleteTableMs: 0, path: process.argv[3] }
const [inner] = dynalite(options).listeners('request')

let faults = {}
const done = new Map() // answers of transactions, by ClientRequestToken

function answer(res, status, body) {
  if (res.destroyed) return
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  res.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.0' })
  res.end(text)
}

function refuse(res, type, message, more = {}) {
  answer(res, type === 'InternalServerError' ? 500 : 400, {
    __type: `com.amazonaws.dynamodb.v20120810#${type}`, message, ...more,
  })
}

// '' or why the signature is wrong.
function signatureProblem(req, body) {
  const header = /Credential=([^/]+)\/(\d+)\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), /
    .exec(req.headers.authorization || '')
  if (!header) return ['MissingAuthenticationTokenException', 'Request is missing Authentication Token']
  const [, id, , region, service, names] = header
  if (!KEYS[id] || req.headers['x-amz-security-token'] !== TOKENS[id]) {
    return ['UnrecognizedClientException', 'The security token included in the request is invalid.']
  }
  const headers = {}
  for (const name of names.split(';')) headers[name] = req.headers[name]
  const request = { method: 'POST', path: '/', host: req.headers.host, region, service, headers, body }
  const signed = aws4.sign(request, { accessKeyId: id, secretAccessKey: KEYS[id] })
  if (signed.headers.Authorization === req.headers.authorization) return null
  return ['InvalidSignatureException', 'The request signature we calculated does not match']
}

// dynalite's own handler, whoever still waits for the answer: [status, text].
function pass(req, body) {
  return new Promise((resolve) => {
    const again = Readable.from([Buffer.from(body)])
    again.headers = req.headers
    again.method = req.method
    again.url = req.url
    const res = { statusCode: 200, setHeader() {}, end: (text) => resolve([res.statusCode, text]) }
    inner(again, res)
  })
}

const call = (action, data) => new Promise((resolve, reject) =>
  require(`dynalite/actions/${action}`)(store, data, (e, out) => (e ? reject(e) : resolve(out))))

// As dynalite's own operations, validated by it.
function operation(item) {
  const kind = Object.keys(item)[0]
  const action = { Put: 'putItem', Update: 'updateItem', Delete: 'deleteItem', ConditionCheck: 'deleteItem' }[kind]
  const validation = require(`dynalite/validations/${action}`)
  const validations = require('dynalite/validations')
  const given = { ...item[kind] }
  const returns = given.ReturnValuesOnConditionCheckFailure
  delete given.ReturnValuesOnConditionCheckFailure
  const data = validations.checkTypes(given, validation.types)
  validations.checkValidations(data, validation.types, validation.custom, store)
  return { kind, action, data, returns }
}

async function existing(data) {
  const table = await new Promise((resolve, reject) =>
    store.getTable(data.TableName, (e, t) => (e ? reject(e) : resolve(t))))
  const key = db.createKey(data.Item || data.Key, table)
  return [key, await new Promise((resolve, reject) => store.getItemDb(data.TableName).get(key, (e, item) =>
    (e && e.name !== 'NotFoundError' ? reject(e) : resolve(item))))]
}

async function transact(res, body) {
  const given = JSON.parse(body)
  const items = given.TransactItems
  const token = given.ClientRequestToken
  if (!Array.isArray(items) || items.length < 1 || items.length > 100) {
    return refuse(res, 'ValidationException', 'Member must have length less than or equal to 100')
  }
  if (body.length > 4 << 20) return refuse(res, 'ValidationException', 'Transaction request is too large')
  if (token && done.has(token)) {
    if (done.get(token) === body) return answer(res, 200, {})
    return refuse(res, 'IdempotentParameterMismatchException', 'another request had this token')
  }
  const operations = items.map(operation)
  const seen = new Set()
  const reasons = []
  for (const one of operations) {
    const [key, item] = await existing(one.data)
    if (seen.has(key)) {
      return refuse(res, 'ValidationException', 'Transaction request cannot include multiple operations on one item')
    }
    seen.add(key)
    const failed = db.checkConditional(one.data, item)
    reasons.push(!failed ? { Code: 'None' } : {
      Code: 'ConditionalCheckFailed', Message: 'The conditional request failed',
      ...(one.returns === 'ALL_OLD' && item ? { Item: item } : {}),
    })
  }
  if (reasons.some((one) => one.Code !== 'None')) {
    const codes = reasons.map((one) => one.Code).join(', ')
    return refuse(res, 'TransactionCanceledException',
      `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes}]`,
      { CancellationReasons: reasons })
  }
  for (const one of operations) if (one.kind !== 'ConditionCheck') await call(one.action, one.data)
  if (token) {
    done.set(token, body)
    setTimeout(() => done.delete(token), DONE_KEPT_MS).unref()
  }
  answer(res, 200, {})
}

async function serve(req, res, body) {
  const name = (req.headers['x-amz-target'] || '').split('.')[1]
  if (faults.delay_ms) await new Promise((resolve) => setTimeout(resolve, faults.delay_ms))
  if (faults.answer !== undefined) return answer(res, faults.status || 200, faults.answer)
  if (faults.skew_s) res.setHeader('Date', new Date(Date.now() + faults.skew_s * 1000).toUTCString())
  const problem = signatureProblem(req, body)
  if (problem) return refuse(res, ...problem)
  if ((faults.denied || []).includes(name)) {
    return refuse(res, 'AccessDeniedException', `User: test is not authorized to perform: dynamodb:${name}`)
  }
  if (Math.random() < (faults.throttle || 0)) {
    return refuse(res, 'ProvisionedThroughputExceededException', 'The level of configured throughput was exceeded')
  }
  if (Math.random() < (faults.failing || 0)) return refuse(res, 'InternalServerError', 'we failed')
  if (Math.random() < (faults.lose || 0)) lose(res) // done, and nobody is told
  if (name === 'UpdateTimeToLive') return answer(res, 200, {})
  if (name === 'TransactWriteItems') return transact(res, body)
  if (name === 'BatchGetItem' && Math.random() < (faults.unprocessed || 0)) return answerHalf(req, res, body)
  answer(res, ...(await pass(req, body)))
}

function lose(res) {
  const { socket } = res
  res.end = () => socket.destroy()
}

// Leaves half of the keys to the next request.
async function answerHalf(req, res, body) {
  const data = JSON.parse(body)
  const [table] = Object.keys(data.RequestItems)
  const wanted = data.RequestItems[table]
  const later = { ...wanted, Keys: wanted.Keys.splice(0, wanted.Keys.length >> 1) }
  const [status, text] = await pass(req, JSON.stringify(data))
  const out = JSON.parse(text)
  if (later.Keys.length > 0) out.UnprocessedKeys = { [table]: later }
  answer(res, status, out)
}

let last = Promise.resolve()
http.createServer({ keepAliveTimeout: 60000 }, (req, res) => {
  const parts = []
  req.on('data', (part) => parts.push(part))
  req.on('error', () => {})
  res.on('error', () => {})
  req.on('end', () => {
    const body = Buffer.concat(parts).toString()
    if (req.url === '/faults') {
      faults = JSON.parse(body)
      return answer(res, 200, {})
    }
    last = last.then(() => serve(req, res, body)).catch((error) => {
      if (error.body) return answer(res, error.statusCode, error.body)
      console.error(error)
      refuse(res, 'InternalServerError', String(error))
    })
  })
}).listen(Number(process.argv[2]), '127.0.0.1')
