-- wrk's figures as one line of JSON, with the percentile that it does not print by itself.
function init(args)
   if args[1] then
      wrk.method = "POST"
      wrk.body = string.rep("x", tonumber(args[1]))
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "mean": %f, "p50": %f, "p99": %f, "p999": %f, "sockets": %d, "statuses": %d}\n',
      summary.requests, summary.duration, latency.mean, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
