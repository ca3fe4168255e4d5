// Original file: proto/rubato/v1/cluster.proto


export interface ListInstancesRequest {
}

export interface ListInstancesRequest__Output {
}
