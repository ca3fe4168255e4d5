// The part of the ONNX schema that the graph builder writes, as a protobufjs root. Field numbers are ONNX's own.
import protobuf from 'protobufjs'

const SCHEMA = `
syntax = "proto3";
package onnx;
message StringStringEntryProto { string key = 1; string value = 2; }
message TensorProto {
  repeated int64 dims = 1;
  int32 data_type = 2;
  string name = 8;
  bytes raw_data = 9;
  repeated StringStringEntryProto external_data = 13;
  int32 data_location = 14;
}
message AttributeProto {
  string name = 1;
  float f = 2;
  int64 i = 3;
  bytes s = 4;
  TensorProto t = 5;
  repeated float floats = 7;
  repeated int64 ints = 8;
  int32 type = 20;
}
message NodeProto {
  repeated string input = 1;
  repeated string output = 2;
  string name = 3;
  string op_type = 4;
  repeated AttributeProto attribute = 5;
  string domain = 7;
}
message TensorShapeProto {
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
  repeated Dimension dim = 1;
}
message TypeProto {
  message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
  oneof value { Tensor tensor_type = 1; }
}
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message GraphProto {
  repeated NodeProto node = 1;
  string name = 2;
  repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11;
  repeated ValueInfoProto output = 12;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message ModelProto {
  int64 ir_version = 1;
  string producer_name = 2;
  GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
}
`

const root = protobuf.parse(SCHEMA, { keepCase: true }).root
const modelType = root.lookupType('onnx.ModelProto')

/** ONNX TensorProto.DataType numbers. */
export const DATA_TYPE = { float32: 1, uint8: 2, int32: 6, int64: 7, float16: 10, bfloat16: 16 } as const
export type OnnxDataType = keyof typeof DATA_TYPE

/** ONNX AttributeProto.AttributeType numbers. */
export const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const

/** Serialises a ModelProto given as a plain object in the schema's own field names. */
export function encodeModel(model: Record<string, unknown>): Uint8Array {
  const problem = modelType.verify(model)
  if (problem !== null) throw new Error(`ONNX model does not fit the schema: ${problem}`)
  return modelType.encode(modelType.fromObject(model)).finish()
}
