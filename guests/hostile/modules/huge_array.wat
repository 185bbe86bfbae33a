;; One object of the engine's heap that is larger than all memory.
(module
  (type $bytes (array (mut i64)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (array.new_default $bytes (i32.const 0x7fffffff)))
    (drop (array.new $bytes (i64.const 1) (i32.const 0xffffffff)))))
