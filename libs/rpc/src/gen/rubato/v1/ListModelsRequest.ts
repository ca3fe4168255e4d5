// Original file: proto/rubato/v1/inference.proto


export interface ListModelsRequest {
}

export interface ListModelsRequest__Output {
}
