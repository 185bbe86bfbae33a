;; A list of objects that the engine collects, none of which ever becomes garbage.
(module
  (type $link (struct (field (ref null $link)) (field i64) (field i64)))
  (memory (export "memory") 1)
  (func (export "_start") (local $last (ref null $link))
    (loop $again
      (local.set $last (struct.new $link (local.get $last) (i64.const 1) (i64.const 2)))
      (br $again))))
